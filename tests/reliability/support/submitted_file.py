"""A file that a program submits, with options, to a daemon that has other files; it repeats this at each start until
the daemon has taken the file."""

import json
from pathlib import Path

from sandbox import Place
from three_files import TEXT

UPLOAD = "5e9d0000-0000-4000-8000-000000000000"


def lay(home: Path, outbox: Path) -> Place:
    """A place with a dropped file and an upload; in faults.py, the daemon's main thread answers submit.json."""
    home.mkdir(parents=True)
    place = Place(home, TEXT.format(outbox=outbox, max_batch=1))
    place.outbox = outbox
    place.drop("a/good.txt", "fine text")
    (place.inbox / ".incoming").mkdir(mode=0o700)
    (place.inbox / ".incoming" / UPLOAD).write_text("sent text")
    submission = {"file": UPLOAD, "folder": "a", "file_name": "good.txt", "options": {"upper": True}}
    (home / "submit.json").write_text(json.dumps(submission))
    return place


def check(place: Place, at: str) -> None:
    """Check that each has exactly one result, the submitted one by its options, and that nothing is anywhere else."""
    rows = {row["id"] == UPLOAD: row for row in place.rows()}
    assert len(place.rows()) == 2 and [row["state"] for row in rows.values()] == ["done"] * 2, at
    for is_submitted, original, text in ((True, "sent text", "SENT TEXT"), (False, "fine text", "fine text")):
        result = place.outbox / rows[is_submitted]["result_path"]
        assert (result / "original" / "good.txt").read_text() == original, at
        assert (result / "good.txt").read_text() == text, at
    assert len(list(place.outbox.rglob("result.json"))) == 2, at
    assert [path.name for path in (place.inbox / ".taken").iterdir()] == [".lock"], at
    assert [path.name for path in (place.outbox / ".staging").iterdir()] == [".lock"], at
    assert [path.name for path in place.inbox.rglob("*") if path.is_file()] == [".lock"], at
