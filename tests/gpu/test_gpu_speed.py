"""Throughput with real shapes and random weights; the tables go into the report. On the CPU: one small round."""

import importlib
import os
import subprocess
import sys

import pytest
import tiny_vlm
from gpu_time import seconds_left
from paths import PYTHONPATH, ROOT

_SPEECH = ("speech_gpu", "--batches", "1,8,32,64", "--tokens", "100", "--rounds", "2")
_PAGES = ("throughput", "--shape", "--batches", "1,8,32", "--tokens", "200", "--rounds", "1")
_STATIC = ("throughput", "--shape", "--cache", "static", "--batches", "1,8", "--tokens", "200", "--rounds", "1")
ON_GPU = {  # the longest time of each, in seconds
    "Whisper turbo": ((*_SPEECH, "--shape", "turbo"), 80),
    "Whisper large-v3": ((*_SPEECH, "--shape", "large-v3"), 100),
    "Qwen2.5-VL-3B": (_PAGES, 150),
    "Qwen2.5-VL-3B, static cache": (_STATIC, 120),
}
ON_CPU = {
    "Whisper tiny": ("speech_gpu", "--shape", "tiny", "--batches", "1", "--tokens", "4", "--rounds", "1"),
    "tiny-vlm": (
        "throughput", "--model", str(tiny_vlm.TINY), "--batches", "2", "--tokens", "2", "--rounds", "1",
        "--pixels", "20000", "--cache", "static",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ON_GPU)
def test_throughput_is_measured(name: str, gpu, report):
    (module, *arguments), longest = ON_GPU[name]
    done = subprocess.run(  # its memory is free at its end, and it can be stopped
        [sys.executable, "-m", f"benchmarks.{module}", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=min(longest, max(30.0, seconds_left())),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    add_table(report, name, done.stdout)


@pytest.mark.parametrize("name", ON_CPU)
def test_benchmarks_run(name: str, device, report, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    if device.type == "cuda":
        pytest.skip("a GPU measures larger shapes")
    module, *arguments = ON_CPU[name]
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    importlib.import_module(f"benchmarks.{module}").main()
    add_table(report, name, capsys.readouterr().out)


def add_table(report: list[str], name: str, output: str) -> None:
    table = [line for line in output.splitlines() if line.startswith("|")]
    assert len(table) >= 3, output
    report += [f"\n### {name}\n", *dict.fromkeys(table)]
