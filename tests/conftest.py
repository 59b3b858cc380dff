"""Places for the tests that drop files; see places.py."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from places import Place

LONGEST = {"test_state_machine.py", "test_chaos.py", "test_crash_points.py", "test_soak.py", "test_samples.py"}

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests' own processes share the cores: more only wait for each other
# Without its bytecode kept, each worker of each daemon compiles the same modules, and each run all of the tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: one that begins last keeps everybody waiting."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


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
