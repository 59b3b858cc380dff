"""Places for the tests that drop files; see sandbox.py."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sandbox import Place

# In the order in which they start; the others come after them.
_LONGEST = (
    "test_vlm",
    "test_graphed_greedy.py",
    "test_ocr.py",
    "test_power_cut.py",
    "test_whisper.py",
    "test_samples.py",
    "test_way_of_a_file.py",
    "test_crash_points.py",
    "test_options_nearby.py",
    "test_soak.py",
    "test_seek_loop.py",
    "test_decoding.py",
    "test_whisper_worker.py",
    "test_workers.py",
    "test_bombs.py",
)

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests' own processes share the cores: more only wait for each other
# Without its bytecode kept, each worker of each daemon compiles the same modules, and each run all of the tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest modules first: one that starts last keeps everybody waiting."""
    items.sort(key=_place_in_line)


def _place_in_line(item: pytest.Item) -> int:
    return next((at for at, name in enumerate(_LONGEST) if item.path.name.startswith(name)), len(_LONGEST))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A place for plain text: no model needed."""
    made = Place(tmp_path)
    yield made
    made.stop_all()


@pytest.fixture
def make_place(tmp_path: Path) -> Iterator[Callable[[str], Place]]:
    """Makes a place with a config.toml of the test's own."""
    made: list[Place] = []

    def make(toml: str) -> Place:
        made.append(Place(tmp_path, toml))
        return made[-1]

    yield make
    for each in made:
        each.stop_all()
