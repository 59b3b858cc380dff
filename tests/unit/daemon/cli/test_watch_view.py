"""The tables of `inboxd watch`, in a narrow terminal."""

import io
import os
import re

import pytest
from rich.console import Console

from daemon.cli import views, watch
from daemon.server import api

_MODEL = "PP-OCRv6_det_small + PP-OCRv6_rec_small"


def _lines(table: object, encoding: str) -> list[str]:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(width=80, file=file, color_system=None).print(table)
    file.flush()
    return file.buffer.getvalue().decode(encoding).splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_only_the_model_is_cut_in_the_line_of_a_worker(encoding: str):
    row = api.WorkerStatus(processor="ocr", pid=os.getpid(), state="idle", model=_MODEL, device="cuda:0", loading=None)
    heading, line = _lines(watch._workers([row]), encoding)
    assert heading.split() == ["worker", "state", "model", "device", "memory", "progress"]
    assert f"ocr ({os.getpid()})" in line and " idle " in line and " cuda:0 " in line
    assert re.search(r" [0-9.]+ [MG]B ", line)


@pytest.mark.parametrize(
    ("model", "device", "words"),
    [
        ("none", "cpu", "plaintext (process 7) is idle; it needs no model"),
        ("turbo", "cuda:0", "plaintext (process 7) is idle, turbo on cuda:0"),
        (None, "cpu", "plaintext (process 7) is idle on cpu"),
    ],
)
def test_worker_is_described_in_words(model: str | None, device: str, words: str):
    row = api.WorkerStatus(processor="plaintext", pid=7, state="idle", model=model, device=device, loading=None)
    assert views._worker_line(row) == words
    assert "none" not in _lines(watch._workers([row]), "utf-8")[1]


def test_only_the_file_is_cut_in_the_line_of_a_running_job():
    fields = {"job": "7418f7bc", "file": f"bank/{'2026' * 30}.pdf", "recipe": "bank-statement", "processor": "ocr"}
    row = api.RunningJob(**fields, attempt=1, progress=None, started_at_us=None)
    heading, line = _lines(watch._running([row]), "utf-8")
    assert ".pdf " in line and " bank-statement " in line and heading.split() == ["file", "recipe", "progress", "for"]
