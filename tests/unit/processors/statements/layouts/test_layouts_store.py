"""The folder of remembered layouts: round trips, damage, limits, several writers."""

import fcntl
import json
import multiprocessing
import os
from datetime import date, timedelta
from pathlib import Path

import pytest

from processors.statements.layouts import store as store_module
from processors.statements.layouts.record import Bank, ColumnPlace, HeadingCell, RememberedLayout
from processors.statements.layouts.store import MAX_BYTES, LayoutStore

DAY = date(2026, 3, 1)


def make_layout(name: str = "kesk-pank", **changes: object) -> RememberedLayout:
    fields = {
        "name": name,
        "bank": Bank(name="Kesk Pank", keys=("name:keskpank",)),
        "headings": (HeadingCell(text="paev", left=0.1, right=0.2),),
        "columns": (
            ColumnPlace(column="date", left=0.1, right=0.2),
            ColumnPlace(column="amount", left=0.7, right=0.8),
        ),
        "has_known_headings": False,
        "balances_alone": True,
        "decimal_mark": ",",
        "learned": DAY,
        "used": DAY,
        "seen": ("0123456789ab",),
    }
    return RememberedLayout(**{**fields, **changes})


@pytest.fixture
def store(tmp_path: Path) -> LayoutStore:
    return LayoutStore(tmp_path / "state" / "layouts")


def save(store: LayoutStore, layout: RememberedLayout) -> None:
    store.change(lambda present: layout)


def test_layout_is_read_as_it_was_written(store):
    save(store, make_layout())
    assert store.load() == ([make_layout()], [])


def test_missing_folder_has_no_layouts_and_is_not_made_by_reading(store):
    assert store.load() == ([], [])
    assert not store.forget("kesk-pank")
    assert not store.folder.exists()


def test_folder_and_files_are_private(store):
    save(store, make_layout())
    modes = [path.stat().st_mode & 0o777 for path in (store.folder.parent, store.folder, *store.folder.iterdir())]
    assert modes == [0o700, 0o700, 0o600]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 10_000, "nested too deeply"),
        (b"[]", "valid dictionary"),
        (b"{}", "version None"),
        (json.dumps({"version": 2}).encode(), "version 2"),
        (b" " * (MAX_BYTES + 1), "larger than 16 KiB"),
        (make_layout("other").model_dump_json().encode(), "not that of its file"),
        (make_layout().model_dump_json().replace("0.7", "NaN").encode(), "columns.1.left"),
        (make_layout().model_dump_json().replace("0.7", "1e9").encode(), "columns.1.left"),
        (make_layout().model_dump_json().replace('"amount"', '"money"').encode(), "columns.1.column"),
        (make_layout().model_dump_json()[:-1].encode() + b',"holder":"Jaan Tamm"}', "holder"),
    ],
)
def test_damaged_file_is_reported_and_the_others_are_read(store, content: bytes, why: str):
    save(store, make_layout("ranna-pank"))
    (store.folder / "kesk-pank.json").write_bytes(content)
    layouts, (damaged,) = store.load()
    assert [layout.name for layout in layouts] == ["ranna-pank"]
    assert damaged.name == "kesk-pank"
    assert why in damaged.why


def test_link_pipe_and_folder_are_reported_and_not_followed(store, tmp_path: Path):
    save(store, make_layout())
    (store.folder / "kesk-pank.json").rename(tmp_path / "kesk-pank.json")
    (store.folder / "kesk-pank.json").symlink_to(tmp_path / "kesk-pank.json")
    os.mkfifo(store.folder / "pipe.json")
    (store.folder / "folder.json").mkdir()
    layouts, damaged = store.load()
    assert layouts == []
    assert sorted(each.name for each in damaged) == ["folder", "kesk-pank", "pipe"]


def test_layout_is_forgotten(store):
    for name in ("kesk-pank", "ranna-pank"):
        save(store, make_layout(name))
    assert store.forget("kesk-pank")
    assert not store.forget("kesk-pank")
    assert [layout.name for layout in store.load()[0]] == ["ranna-pank"]


def test_damaged_file_can_be_forgotten(store):
    save(store, make_layout())
    (store.folder / "Odd name.json").write_text("{")
    assert store.forget("Odd name")
    assert not store.forget("../jobs")


def test_full_folder_forgets_the_layout_that_was_used_least_recently(store, monkeypatch):
    monkeypatch.setattr(store_module, "MAX_LAYOUTS", 3)
    for number in range(5):
        save(store, make_layout(f"bank-{number}", used=DAY + timedelta(days=(number * 2) % 5)))
    assert [layout.name for layout in store.load()[0]] == ["bank-1", "bank-2", "bank-4"]


def test_name_that_is_taken_gets_a_number(store):
    assert store.free_name("kesk-pank") == "kesk-pank"
    save(store, make_layout())
    save(store, make_layout("kesk-pank-2"))
    assert store.free_name("kesk-pank") == "kesk-pank-3"


def test_file_that_a_killed_process_left_is_removed(store):
    save(store, make_layout())
    left = store.folder / ".kesk-pank.0a1b2c3d"
    left.write_text("{")
    save(store, make_layout("ranna-pank"))
    assert left.exists()  # it may be that of a process that lives
    os.utime(left, (0, 0))
    save(store, make_layout("randa-pank"))
    assert not left.exists()


def test_lock_that_is_never_released_stops_nothing(store, monkeypatch):
    monkeypatch.setattr(store_module, "_LOCK_SECONDS", 0.05)
    save(store, make_layout())
    descriptor = os.open(store.folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    save(store, make_layout("ranna-pank"))
    os.close(descriptor)
    assert len(store.load()[0]) == 2


def _count_up(folder: Path, first: int, times: int) -> None:
    for number in range(first, first + times):
        digest = f"{number:012x}"
        LayoutStore(folder).change(
            lambda present, digest=digest: (
                present[0].confirmed_by(make_layout(seen=(digest,))) if present else make_layout(seen=(digest,))
            )
        )


def test_no_change_of_several_processes_is_lost(store):
    processes = [
        multiprocessing.get_context("fork").Process(target=_count_up, args=(store.folder, 100 * first, 10))
        for first in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    (layout,), damaged = store.load()
    assert (layout.confirmed, damaged) == (30, [])
    assert [path.name for path in store.folder.iterdir()] == ["kesk-pank.json"]
