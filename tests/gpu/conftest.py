"""The checks of a GPU: one run of at most eight minutes, on a machine that has torch and the wheels of wheels.txt.

    make gpu                                    # or, without the rest of the tests' libraries:
    python -m pytest --confcutdir=tests/gpu -m gpu tests/gpu

Correctness comes first, then memory, then throughput; the later modules skip what no longer fits into the time. Without
a GPU the same checks run in a small form, within seconds, so that a GPU never meets code that has not run.
"""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from gpu_time import SECONDS, seconds_left

_ORDER = ("test_gpu_answers.py", "test_gpu_memory.py", "test_gpu_speed.py")
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == _HERE:
            item.add_marker(pytest.mark.gpu)
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: _ORDER.index(item.path.name) if item.path.name in _ORDER else -1)


@pytest.fixture(autouse=True)
def in_time() -> None:
    if seconds_left() < 20:
        pytest.skip(f"the {SECONDS:g} s of this run (INBOXD_GPU_SECONDS) are over")


@pytest.fixture(scope="session")
def device():  # -> torch.device: torch is imported only where a test runs
    import torch

    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


@pytest.fixture
def gpu(device) -> Iterator[object]:
    """The device, for tests that only a GPU can pass; its memory is free before and after."""
    import torch

    if device.type != "cuda":
        pytest.skip("needs a GPU")
    gc.collect()
    torch.cuda.empty_cache()
    yield device
    gc.collect()
    torch.cuda.empty_cache()


@pytest.fixture(scope="session")
def report() -> Iterator[list[str]]:
    """Lines for the file INBOXD_GPU_REPORT (Markdown), written at the end; without it, they are only printed."""
    lines: list[str] = []
    yield lines
    text = "\n".join(lines) + "\n"
    print(f"\n{text}")
    if path := os.environ.get("INBOXD_GPU_REPORT"):
        Path(path).write_text(text, encoding="utf-8")
