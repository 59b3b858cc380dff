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
def place(tmp_path: Path) -> Iterator[Sidecars]:
    made = Sidecars(tmp_path)
    yield made
    made.stop_all()


def fuzz(place: Sidecars, examples: int) -> None:
    place.begin()

    @given(trees())
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    def throw(tree: dict[bytes, bytes]) -> None:
        if place.daemon.poll() is not None:  # the last tree ended the daemon, and Hypothesis searches for a smaller one
            place.begin()
        place.throw(tree)
        if place.trees % RESTART_EVERY == 0:
            place.daemon.kill()  # at any point of the daemon's work
            place.daemon.wait()
            place.begin()

    for tree in WORST:
        place.throw(tree)
    throw()
    place.end()
    place.begin()  # on the files that remained in the inbox
    place.end()


def test_sidecar_of_any_content_costs_at_most_its_own_file(place: Sidecars):
    fuzz(place, SHORT)
    place.check()


@pytest.mark.long
def test_thousands_of_trees_of_sidecars_cost_at_most_their_own_files(place: Sidecars):
    examples, started = int(os.environ.get("INBOXD_EXAMPLES", "10000")), time.monotonic()
    fuzz(place, examples)
    turns = place.check()
    print(
        f"\nsidecars: {place.trees} trees of {place.files} files, {len(place.rows())} jobs, 0 bad, longest turn "
        f"{turns['cpu']:.2f} s of the processor, {turns['wall']:.2f} s in all, {time.monotonic() - started:.0f} s"
    )


def test_sidecar_of_a_terabyte_does_not_halt_the_loop(place: Sidecars):
    place.begin()
    for name in ("a.txt.prompt", "b.txt.password", "c.txt.toml", "d.txt.done", ".inboxd.toml"):
        with (place.folder("big") / name).open("wb") as file:
            file.truncate(1 << 40)
    for name in "abcd":
        place.drop(f"big/{name}.txt")
    place.throw({b"x": b"words"})
    place.end()
    place.check()


@pytest.mark.parametrize(
    ("broken", "tree"),
    [
        ("toml-is-not-scanned", {b"a": b"words", b"a.toml": b"a." * 10_000 + b"a = 1"}),
        ("sidecars-have-no-limit", None),
    ],
)
def test_rig_detects_a_blocked_loop(place: Sidecars, broken: str, tree: dict[bytes, bytes] | None):
    """A negative control, with files that block the loop for a second; larger files would block it for longer."""
    place.begin(broken=broken)
    if tree is None:
        with (place.folder("big") / ".x").open("wb") as file:
            file.truncate(1 << 30)
        (place.inbox / "big/.x").rename(place.inbox / "big/a.txt.prompt")
        place.drop("big/a.txt")
    place.throw(tree or {b"x": b"words"})
    place.end()
    with pytest.raises(AssertionError, match="an iteration of the loop took"):
        place.check(max_turn_seconds=0.3)
