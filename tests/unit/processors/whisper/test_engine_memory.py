"""What a process that only transcribes holds in memory."""

import json
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from paths import ROOT

from processors.whisper.audio import parts as module
from processors.whisper.audio.parts import SAMPLE_RATE_HZ, Block, parts

SCRIPT = """
import json, sys
import torch
from processors.whisper.decoder import kernels, mapped
from processors.whisper.decoder.time_warping import warp
from processors.whisper.engines import openai_whisper
import whisper.timing

def held_mb(what="RssAnon"):
    (line,) = [line for line in open("/proc/self/status") if line.startswith(what)]
    return int(line.split()[1]) / 1024

kernels.limit_compiled()
torch.set_num_threads(1)
layer, held = kernels.packed(torch.randn(384, 384), None), []
with torch.inference_mode():
    for rows in range(1, 151):
        layer(torch.randn(1, rows, 384))
        held.append(held_mb())
x = torch.randn(3, 384)
before, code = layer(x), [held_mb("RssFile")]
mapped.release_code()
code.append(held_mb("RssFile"))
print(json.dumps({
    "imports": [name for name in ("numba", "llvmlite") if name in sys.modules],
    "warps_by_numpy": whisper.timing.dtw_cpu is warp,
    "first": held[47] - held[0],
    "then": held[-1] - held[47],
    "code": code,
    "computes_the_same": torch.equal(layer(x), before),
}))
"""


pytestmark = pytest.mark.slow  # imports torch in a process of its own, and compiles layers


@pytest.fixture(scope="module")
def found() -> dict:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=120)
    return json.loads(done.stdout)


def test_engine_does_not_import_numba(found: dict):
    assert found["imports"] == [] and found["warps_by_numpy"]


def test_few_layers_stay_compiled_whatever_the_lengths_of_prompts(found: dict):
    """By default 102 further lengths take twice as much as the first 48, until there are 1024."""
    assert found["then"] < found["first"]


def test_code_that_only_the_imports_ran_takes_no_memory(found: dict):
    before, after = found["code"]
    assert after < before / 2 and found["computes_the_same"]


def test_part_is_not_held_twice_while_it_is_transcribed():
    blocks = [Block(number * SAMPLE_RATE_HZ, np.zeros(SAMPLE_RATE_HZ, np.float32)) for number in range(60)]
    references = [weakref.ref(block.samples) for block in blocks]

    def each() -> Iterator[Block]:
        while blocks:
            yield blocks.pop(0)

    part = next(parts(each()))
    assert part.seconds == 60.0 and not any(reference() is not None for reference in references[:-1])


def test_part_is_not_held_while_the_next_one_is_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "PART_SECONDS", 40.0)
    found: list[weakref.ref[NDArray[np.float32]]] = []
    held_while_reading = []

    def each() -> Iterator[Block]:
        for number in range(9):
            held_while_reading.append(any(reference() is not None for reference in found))
            yield Block(number * 10 * SAMPLE_RATE_HZ, np.zeros(10 * SAMPLE_RATE_HZ, np.float32))

    for part in parts(each()):
        base = part.samples if part.samples.base is None else part.samples.base
        found.append(weakref.ref(base))
        del part, base
    assert len(found) > 3 and not any(held_while_reading)


TRANSCRIBE = """
import re, sys
from pathlib import Path
from benchmarks.speech import transcriber
models, *files = map(Path, sys.argv[1:])
transcribed = transcriber(models, "tiny.en", "exact")(files)
assert all(transcribed[str(file)].strip() for file in files)
# Not ru_maxrss, which counts the process that started this one.
(kilobytes,) = re.findall(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())
print(int(kilobytes) / 1024)
"""


def test_eight_files_at_once_take_at_most_650_mb(models: Path):
    files = sorted((ROOT / "tests" / "data" / "audio").glob("LJ001-*"))
    assert len(files) == 8
    command = [sys.executable, "-c", TRANSCRIBE, models, *files]
    done = subprocess.run([*map(str, command)], cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=600, text=True)
    assert float(done.stdout) <= 650
