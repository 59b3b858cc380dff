"""A few files with every possible outcome, and checks of these outcomes."""

import contextlib
from pathlib import Path

from sandbox import Place

from daemon.core.errors import UsageError
from daemon.files.folders import Folders
from daemon.recovery.verify import Verification

TEXT = """
    [paths]
    outbox = "{outbox}"
    [inbox]
    text = "count"
    settle_seconds = 0.0
    [recipes.count]
    processor = "plaintext"
    max_batch = {max_batch}
"""
ENDS = {"a/good.txt": "done", "bad.txt": "failed", "b/latin.txt": "failed"}


def lay(home: Path, outbox: Path) -> Place:
    """A place with a good file, one with a sidecar, and two that fail."""
    home.mkdir(parents=True)
    place = Place(home, TEXT.format(outbox=outbox, max_batch=1))
    place.outbox = outbox
    place.drop("a/good.txt.prompt", "why?")
    place.drop("a/good.txt", "fine text")
    place.drop("bad.txt", b"\xff\xfe\xfd not text \x00")
    place.drop("b/latin.txt", "ä".encode("latin-1"))
    return place


def check(place: Place, at: str) -> None:
    """Check that there are exactly one good result and two failures, each with its original, and nothing anywhere
    else."""
    states = {row["file"]: row["state"] for row in place.rows()}
    assert states == ENDS, at
    results = sorted(str(path.relative_to(place.outbox)) for path in place.outbox.rglob("*.json"))
    assert results == ["a/good/result.json", "failed/b/latin/error.json", "failed/bad/error.json"], at
    assert (place.outbox / "a" / "good" / "original" / "good.txt").read_text() == "fine text", at
    assert (place.outbox / "a" / "good" / "original" / "good.txt.prompt").read_text() == "why?", at
    assert (place.outbox / "a" / "good" / "good.txt").read_text() == "fine text", at
    assert (place.outbox / "failed" / "bad" / "bad.txt").read_bytes() == b"\xff\xfe\xfd not text \x00", at
    assert [path.name for path in (place.inbox / ".taken").iterdir()] == [".lock"], at
    assert [path.name for path in (place.outbox / ".staging").iterdir()] == [".lock"], at
    assert [path.name for path in place.inbox.rglob("*") if path.is_file()] == [".lock"], at


def verify(place: Place, at: str) -> None:
    """Run `inboxd verify` in this process."""
    settings = place.settings()
    folders = Folders(inbox=settings.inbox, outbox=settings.outbox, state=settings.state)
    with contextlib.suppress(UsageError):  # killed before it created the job log
        verdict = Verification(folders, settings.database, is_running=False).run()
        assert verdict.is_clean, (at, verdict.findings)
