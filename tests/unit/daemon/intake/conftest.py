"""Inboxes for the tests of the intake; see inbox_harness.py."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from inbox_harness import InboxHarness


@pytest.fixture
def make_inbox(tmp_path: Path) -> Iterator[Callable[..., InboxHarness]]:
    """Makes an inbox with a config.toml or a clock of the test's own."""
    made: list[InboxHarness] = []

    def make(**options: Any) -> InboxHarness:
        made.append(InboxHarness(tmp_path, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def inbox(make_inbox: Callable[..., InboxHarness]) -> InboxHarness:
    return make_inbox()
