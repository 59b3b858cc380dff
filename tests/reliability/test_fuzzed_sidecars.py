"""Arbitrary trees of files and sidecars (Hypothesis) for one daemon, with restarts: the daemon survives, its loop is
never blocked, harmless files are processed, and `verify` finds no error.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from sidecar_rig import Sidecars, trees

SHORT = 25
RESTART_EVERY = 500  # trees
WORST = [
    {b"a": b"words", b"a.toml": b"a." * 30_000 + b"a = 1"},
    {b"a": b"words", b"a.toml": b"a = " + b"9" * 5000},
    {b"a": b"words", b"a.toml": b"a = " + b"[" * 60_000},
    {b"a": b"words", b"a.toml": b"a = " + b"{a=" * 20_000},
    {b"a": b"words", b"a.toml": b"priority = 9223372036854775808"},
    {b"a": b"words", b"a.toml": b"priority = -9223372036854775809"},
    {b"a": b"\0\1", b"a.toml": b"language = 2024-01-01"},
    {b"caf\xe9": b"words", b"caf\xe9.toml": b"upper = true"},
    {b"caf\xe9/.inboxd.toml": b"upper = true", b"caf\xe9/a": b"words"},
]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Sidecars]:
    made = Sidecars(tmp_path)
    yield made
    made.stop_all()


def fuzz(house: Sidecars, examples: int) -> None:
    house.begin()

    @given(trees())
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    def throw(tree: dict[bytes, bytes]) -> None:
        if house.daemon.poll() is not None:  # the last tree ended the daemon, and Hypothesis searches for a smaller one
            house.begin()
        house.throw(tree)
        if house.trees % RESTART_EVERY == 0:
            house.daemon.kill()  # at any point of the daemon's work
            house.daemon.wait()
            house.begin()

    for tree in WORST:
        house.throw(tree)
    throw()
    house.end()
    house.begin()  # on the files that remained in the inbox
    house.end()


def test_sidecar_of_any_content_costs_at_most_its_own_file(house: Sidecars):
    fuzz(house, SHORT)
    house.check()


@pytest.mark.long
def test_thousands_of_trees_of_sidecars_cost_at_most_their_own_files(house: Sidecars):
    examples, started = int(os.environ.get("INBOXD_EXAMPLES", "10000")), time.monotonic()
    fuzz(house, examples)
    turns = house.check()
    print(
        f"\nsidecars: {house.trees} trees of {house.files} files, {len(house.rows())} jobs, 0 bad, longest turn "
        f"{turns['cpu']:.2f} s of the processor, {turns['wall']:.2f} s in all, {time.monotonic() - started:.0f} s"
    )


def test_sidecar_of_a_terabyte_does_not_halt_the_loop(house: Sidecars):
    house.begin()
    for name in ("a.txt.prompt", "b.txt.password", "c.txt.toml", "d.txt.done", ".inboxd.toml"):
        with (house.folder("big") / name).open("wb") as file:
            file.truncate(1 << 40)
    for name in "abcd":
        house.drop(f"big/{name}.txt")
    house.throw({b"x": b"words"})
    house.end()
    house.check()


@pytest.mark.parametrize(
    ("broken", "tree"),
    [
        ("toml-is-not-scanned", {b"a": b"words", b"a.toml": b"a." * 10_000 + b"a = 1"}),
        ("sidecars-have-no-limit", None),
    ],
)
def test_rig_detects_a_blocked_loop(house: Sidecars, broken: str, tree: dict[bytes, bytes] | None):
    """A negative control, with files that block the loop for a second; larger files would block it for longer."""
    house.begin(broken=broken)
    if tree is None:
        with (house.folder("big") / ".x").open("wb") as file:
            file.truncate(1 << 30)
        (house.inbox / "big/.x").rename(house.inbox / "big/a.txt.prompt")
        house.drop("big/a.txt")
    house.throw(tree or {b"x": b"words"})
    house.end()
    with pytest.raises(AssertionError, match="an iteration of the loop took"):
        house.check(max_turn_seconds=0.3)
