"""Enough small files that they are taken, and their results published, in groups; see `daemon.publishing.group`."""

from pathlib import Path

from sandbox import Place
from three_files import TEXT

COUNT = 40


def lay(home: Path, outbox: Path) -> Place:
    """A place with files in two folders; two files of one name, so that one result gets a number."""
    home.mkdir(parents=True)
    place = Place(home, TEXT.format(outbox=outbox, max_batch=64))
    place.outbox = outbox
    for number in range(COUNT - 1):
        place.drop(f"{_folder(number)}{number}.txt", f"text {number}")
    place.drop("0.md", "text 0")
    return place


def _folder(number: int) -> str:
    return "" if number % 4 == 0 else "a/"


def check(place: Place, at: str) -> None:
    """Check that each has exactly one result, with its original, and that nothing is anywhere else."""
    assert [row["state"] for row in place.rows()] == ["done"] * COUNT, at
    results = sorted(path.parent for path in place.outbox.rglob("result.json"))
    expected = [place.outbox / f"{_folder(number)}{number}" for number in range(COUNT - 1)]
    assert results == sorted([*expected, place.outbox / "0 (2)"]), at
    for result in results:
        text = f"text {result.name.split()[0]}"
        outputs = [path for path in result.iterdir() if path.suffix == ".txt"]
        originals = [path for path in result.rglob("*") if path.is_file() and path.name != "result.json"]
        assert [path.read_text() for path in outputs] == [text], (at, result)
        assert len(originals) == 2 and all(path.read_text() == text for path in originals), (at, result)
    assert [path.name for path in (place.inbox / ".taken").iterdir()] == [".lock"], at
    assert [path.name for path in (place.outbox / ".staging").iterdir()] == [".lock"], at
    assert [path.name for path in place.inbox.rglob("*") if path.is_file()] == [".lock"], at
