"""Files whose results have the flat layout, beside a file that somebody else has put there, and checks of the
outcome."""

from pathlib import Path

from sandbox import Place

TEXT = """
    [paths]
    outbox = "{outbox}"
    [inbox]
    text = "count"
    settle_seconds = 0.0
    layout = "flat"
    [recipes.count]
    processor = "plaintext"
    max_batch = 1
"""
ENDS = {"a/good.md": "done", "plain.txt": "done", "bad.txt": "failed"}
FILES = {
    ".results/a/good (2)/result.json",
    ".results/plain/result.json",
    "a/good.txt",
    "a/good (2).md",
    "a/good (2).md.prompt",
    "a/good (2).txt",
    "failed/bad/bad.txt",
    "failed/bad/error.json",
    "failed/bad/error.txt",
    "plain.original/plain.txt",
    "plain.txt",
}


def lay(home: Path, outbox: Path) -> Place:
    """A place with a file and its sidecar, a file with the name of its own output, and a file that fails."""
    home.mkdir(parents=True)
    place = Place(home, TEXT.format(outbox=outbox))
    place.outbox = outbox
    (outbox / "a").mkdir(parents=True)
    (outbox / "a" / "good.txt").write_text("of somebody else")
    place.drop("a/good.md.prompt", "why?")
    place.drop("a/good.md", "fine text")
    place.drop("plain.txt", "plain text")
    place.drop("bad.txt", b"\xff\xfe\xfd not text \x00")
    return place


def check(place: Place, at: str) -> None:
    """Check that each file is in its place, complete, and that nothing is anywhere else."""
    assert {row["file"]: row["state"] for row in place.rows()} == ENDS, at
    found = {str(path.relative_to(place.outbox)) for path in place.outbox.rglob("*") if path.is_file()}
    assert found == FILES | {".staging/.lock"}, at
    assert (place.outbox / "a" / "good.txt").read_text() == "of somebody else", at
    assert (place.outbox / "a" / "good (2).txt").read_text() == "fine text", at
    assert (place.outbox / "a" / "good (2).md").read_text() == "fine text", at
    assert (place.outbox / "a" / "good (2).md.prompt").read_text() == "why?", at
    assert (place.outbox / "plain.original" / "plain.txt").read_text() == "plain text", at
    assert [path.name for path in (place.inbox / ".taken").iterdir()] == [".lock"], at
    assert [path.name for path in place.inbox.rglob("*") if path.is_file()] == [".lock"], at
