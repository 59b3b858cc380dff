"""Places for the tests that drop files; see places.py."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from places import Place


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
