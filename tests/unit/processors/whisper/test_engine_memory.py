"""What a process that only transcribes holds in memory."""

import json
import subprocess
import sys

import pytest
from paths import ROOT

SCRIPT = """
import json, sys
import torch
from processors.whisper.decoder import kernels
from processors.whisper.decoder.time_warping import warp
from processors.whisper.engines import openai_whisper
import whisper.timing

def held_mb():
    (line,) = [line for line in open("/proc/self/status") if line.startswith("RssAnon")]
    return int(line.split()[1]) / 1024

kernels.limit_compiled()
torch.set_num_threads(1)
layer, held = kernels.packed(torch.randn(384, 384), None), []
with torch.inference_mode():
    for rows in range(1, 151):
        layer(torch.randn(1, rows, 384))
        held.append(held_mb())
print(json.dumps({
    "imports": [name for name in ("numba", "llvmlite") if name in sys.modules],
    "warps_by_numpy": whisper.timing.dtw_cpu is warp,
    "first": held[47] - held[0],
    "then": held[-1] - held[47],
}))
"""


@pytest.fixture(scope="module")
def found() -> dict:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=120)
    return json.loads(done.stdout)


def test_engine_does_not_import_numba(found: dict):
    assert found["imports"] == [] and found["warps_by_numpy"]


def test_few_layers_stay_compiled_whatever_the_lengths_of_prompts(found: dict):
    """By default 102 further lengths take twice as much as the first 48, until there are 1024."""
    assert found["then"] < found["first"]
