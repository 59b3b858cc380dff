"""Small files that claim to be huge: each ends in bounded memory and time, and does not affect other files.

`processors.pages` decodes them in a real worker (see fakes/reader.py), without a model.
"""

import io
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import bomb_files
import pytest
from PIL import Image
from sandbox import Place
from workers_rig import end_of_all, stop

from processors.contract import BadInput
from processors.whisper.audio import reader

_TOML = """
    [inbox]
    image = "pages"
    unsupported = "fail"
    settle_seconds = 0.1
    [recipes.pages]
    processor = "fakes.reader"
    max_batch = 8
    [inbox.folders.slow]
    image = "slow"
    [recipes.slow]
    processor = "fakes.reader"
    label = "slow"
    timeout = "1s"
    [inbox.folders.small]
    image = "small"
    [recipes.small]
    processor = "fakes.reader"
    label = "small"
    memory_max = "400MB"
    [retry]
    attempts = 2
    backoff = "10ms"
    [workers]
    at_once = 3
"""
_MAX_BYTES = 800_000_000  # the most memory that the worker of the short round may use

REFUSED: Mapping[str, Callable[[], bytes]] = {
    "big.png": lambda: bomb_files.png(50_000, 50_000),
    "big.tiff": lambda: bomb_files.tiff(50_000, 50_000),
    "big.webp": lambda: bomb_files.webp(1 << 24, 1 << 24),
    "big.heic": lambda: bomb_files.heic(50_000, 50_000),
    "big.jp2": lambda: bomb_files.jpeg_2000(50_000, 50_000),
    "red.jp2": lambda: bomb_files.jpeg_2000(10_000, 10_000),  # 20 bytes per pixel during decoding
    "big.bmp": lambda: bomb_files.bmp(50_000, 50_000),
    "big.gif": lambda: bomb_files.gif(65_535, 65_535, 100),
    "palette.png": lambda: bomb_files.png(28_000, 28_000, color=3, before=bomb_files.palette(transparent=True)),
    "text.png": lambda: bomb_files.png(9, 9, before=_text_chunks(b"zTXt", b"\0", 20, 60 << 20)),
    "texts.png": lambda: bomb_files.png(9, 9, before=_text_chunks(b"iTXt", b"\1\0\0\0", 500, 900_000)),
    "profile.png": lambda: bomb_files.png(9, 9, before=bomb_files.chunk(b"iCCP", b"x\0\0" + bomb_files.zeros(1 << 30))),
    "pages.tiff": lambda: bomb_files.tiff(9, 9, pages=100_000),
    "pages.pdf": lambda: bomb_files.many_pages(50_000),
    "count.pdf": lambda: bomb_files.lying_count(1_000_000),
    "deep.pdf": lambda: bomb_files.deep_tree(20_000),
    "loop.pdf": bomb_files.looping_tree,
    "none.pdf": bomb_files.no_pages,
    "brackets.pdf": lambda: b"%PDF-1.7\n1 0 obj\n" + b"[" * 1_000_000 + b"\ntrailer << /Root 1 0 R >>\n%%EOF",
    "locked.pdf": bomb_files.encrypted,
    "thin.png": lambda: bomb_files.png(20_000_000, 1, color=0),
    "thread.pdf": lambda: bomb_files.one_page(box=b"[0 0 1000000000 1]"),
    "drawing.svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "archive.zip": lambda: b"PK\3\4" + bytes(100),
}
READ: Mapping[str, Callable[[], bytes]] = {
    "long.png": lambda: (
        bomb_files.png(9, 9)[:-12]
        + bomb_files.chunk(b"IDAT", bomb_files.zeros(1 << 30))
        + bomb_files.chunk(b"IEND", b"")
    ),
    "poster.pdf": lambda: bomb_files.one_page(box=b"[0 0 14400 14400]"),
    "planet.pdf": lambda: bomb_files.one_page(box=b"[0 0 1000000000 1000000000]"),
    "picture.pdf": lambda: bomb_files.huge_picture(50_000),
    "spaces.pdf": lambda: bomb_files.one_page(bomb_files.zeros(50 << 20), entries=b"/Filter /FlateDecode"),
    "xfa.pdf": bomb_files.form_of_xml,
}
SLOW: Mapping[str, Callable[[], bytes]] = {
    "itself.pdf": bomb_files.form_in_itself,
    "tiles.pdf": bomb_files.dense_pattern,
}
SMALL: Mapping[str, Callable[[], bytes]] = {
    "gigabyte.pdf": lambda: bomb_files.one_page(bomb_files.zeros(1 << 30), entries=b"/Filter /FlateDecode")
}
LONG: Mapping[str, Callable[[], bytes]] = {
    "gray.png": lambda: bomb_files.png(28_000, 28_000, color=0),
    "color.png": lambda: bomb_files.png(14_000, 14_000, color=2),
    "clear.png": lambda: bomb_files.png(14_000, 14_000, color=6),
    "deep.png": lambda: bomb_files.png(9_900, 9_900, depth=16, color=0),
    "palette.png": lambda: bomb_files.png(13_000, 13_000, color=3, before=bomb_files.palette(transparent=True)),
    "lines.png": lambda: bomb_files.png(28_000, 28_000, depth=1, color=0),
    "gray.tiff": lambda: bomb_files.tiff(28_000, 28_000),
    "gigabyte.pdf": lambda: bomb_files.one_page(bomb_files.zeros(1 << 30), entries=b"/Filter /FlateDecode"),
}


def _text_chunks(kind: bytes, before: bytes, count: int, size: int) -> bytes:
    text = bomb_files.zeros(size)
    return b"".join(bomb_files.chunk(kind, b"k%d\0" % number + before + text) for number in range(count))


def _neighbor() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(file, "PNG")
    return file.getvalue()


def _drop_all(place: Place, folder: str, makers: Mapping[str, Callable[[], bytes]]) -> list[str]:
    for name, make in makers.items():
        place.drop(f"{folder}{name}", make())
    return [f"{folder}{name}" for name in makers]


def _live_through(place: Place, makers: Mapping[str, Mapping[str, Callable[[], bytes]]]) -> dict[str, dict[str, Any]]:
    """Process the bombs, with good files before, among and after them; return the rows by file."""
    daemon = place.start()
    for when in ("before", "among", "after"):
        files = _drop_all(place, "", {f"{when} {number}.png": _neighbor for number in range(3)})
        if when == "among":
            files += [file for folder in makers for file in _drop_all(place, folder, makers[folder])]
        end_of_all(place, files, deadline=300.0)
    stop(daemon)
    place.verify()
    return {row["file"]: row for row in place.rows()}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    place = Place(tmp_path_factory.mktemp("bombs"), _TOML)
    try:
        found = _live_through(place, {"": {**REFUSED, **READ}, "slow/": SLOW, "small/": SMALL})
        for row in found.values():
            row["details"] = place.result(row["file"])["details"] if row["state"] == "done" else {}
        yield found
    finally:
        place.stop_all()


@pytest.mark.parametrize("name", REFUSED)
def test_bomb_is_bad_input_with_instructions(rows: dict, name: str):
    _check_refused(rows[name])


def _check_refused(row: dict[str, Any]) -> None:
    assert (row["state"], row["error_kind"], row["attempts"] <= 1) == ("failed", "bad_input", True), row
    assert row["error"].endswith((".", ").")) and len(row["error"]) < 300, row["error"]


@pytest.mark.parametrize("name", READ)
def test_readable_bomb_is_read_at_a_reduced_size(rows: dict, name: str):
    row = rows[name]
    assert row["state"] == "done", row
    for width, height in row["details"]["sizes"]:
        assert width * height <= 6_000_000 and max(width, height) <= 65_500


@pytest.mark.parametrize("name", ["poster.pdf", "planet.pdf"])
def test_reduced_page_is_reported(rows: dict, name: str):
    assert rows[name]["details"]["notes"], rows[name]


@pytest.mark.parametrize("name", SLOW)
def test_endless_drawing_of_a_page_ends_at_the_timeout(rows: dict, name: str):
    assert (rows[f"slow/{name}"]["state"], rows[f"slow/{name}"]["error_kind"]) == ("failed", "timeout")


@pytest.mark.parametrize("name", SMALL)
def test_page_that_needs_too_much_memory_names_the_limit(rows: dict, name: str):
    row = rows[f"small/{name}"]
    assert (row["state"], row["error_kind"]) == ("failed", "out_of_memory")
    assert "raise memory_max" in row["error"]


def test_good_files_beside_bombs_are_done_at_the_first_attempt(rows: dict):
    others = [row for file, row in rows.items() if file.startswith(("before ", "among ", "after "))]
    assert len(others) == 9
    assert {(row["state"], row["attempts"]) for row in others} == {("done", 1)}


def test_worker_of_bombs_never_uses_much_memory(rows: dict):
    """One worker processed all except the slow and the small ones; it reports its peak."""
    assert max(row["details"].get("peak_bytes", 0) for row in rows.values()) < _MAX_BYTES


def test_rig_detects_a_reader_that_does_not_limit_pages(make_place):
    """A negative control."""
    place = make_place(_TOML.replace("fakes.reader", "fakes.careless_reader"))
    place.drop("pages.tiff", bomb_files.tiff(9, 9, pages=10_001))
    place.drain()
    with pytest.raises(AssertionError):
        _check_refused(place.row("pages.tiff"))


@pytest.mark.long
def test_largest_pictures_that_are_read_stay_below_the_memory_limit(tmp_path: Path):
    """Each runs in a separate worker, which reports its peak: twice 800 MB, and the libraries; 2 GB with pdfium."""
    place, began, peaks = Place(tmp_path, _TOML), time.monotonic(), {}
    for name, make in LONG.items():
        place.drop(name, make())
        place.drain()
        peaks[name] = place.result(name)["details"]["peak_bytes"]
    place.verify()
    bad = [name for name in LONG if peaks[name] > (2_400_000_000 if name.endswith("pdf") else 1_900_000_000)]
    shown = ", ".join(f"{name} {peak / 1e9:.2f} GB" for name, peak in peaks.items())
    print(f"\nbombs: {len(peaks)} files, {len(bad)} bad, {time.monotonic() - began:.0f} s; peaks: {shown}")
    assert not bad


# ---------------------------------------------------------------------------------------------- sound

HOURS = {
    "claims ten hours": bomb_files.wav(rate_hz=16_000, channels=1, data=bytes(100), claimed_bytes=36_000 * 32_000),
    "ten million hertz": bomb_files.wav(rate_hz=10_000_000, channels=1, data=bytes(1_000_000)),
}
NO_SOUND = {
    "one hertz": bomb_files.wav(rate_hz=1, channels=1, data=bytes(100_000)),
    "no hertz": bomb_files.wav(rate_hz=0, channels=1, data=bytes(100)),
    "two thousand million hertz": bomb_files.wav(rate_hz=2_000_000_000, channels=1, data=bytes(1000)),
    "a thousand channels": bomb_files.wav(rate_hz=16_000, channels=1000, data=bytes(200_000)),
    "sixty thousand channels": bomb_files.wav(rate_hz=16_000, channels=60_000, data=bytes(600_000)),
}


@pytest.mark.parametrize("name", HOURS)
def test_sound_is_as_long_as_its_bytes_whatever_its_header_claims(tmp_path: Path, name: str):
    (tmp_path / "x.wav").write_bytes(HOURS[name])
    with reader.open_track(tmp_path / "x.wav") as track:
        assert sum(map(len, track.blocks())) < 2000


@pytest.mark.parametrize("name", NO_SOUND)
def test_sound_with_an_impossible_rate_is_bad_input(tmp_path: Path, name: str):
    (tmp_path / "x.wav").write_bytes(NO_SOUND[name])
    with pytest.raises(BadInput), reader.open_track(tmp_path / "x.wav") as track:
        list(track.blocks())
