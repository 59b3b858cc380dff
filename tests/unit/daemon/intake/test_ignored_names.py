"""Names that are never taken: by the built-in tables, and by the patterns of config.toml."""

from collections.abc import Callable
from pathlib import PurePath

import pytest
from inbox_harness import TOML, InboxHarness

from daemon import config
from daemon.core.errors import ConfigError
from daemon.core.messages import Hint
from daemon.intake.ignored_names import IgnorePatterns, is_ignored


@pytest.mark.parametrize(
    "name",
    [
        ".hidden",
        ".syncthing.photo.jpg.tmp",
        ".goutputstream-A1B2C3",
        "photo.goutputstream-A1B2C3",
        "film.mkv.part",
        "film.mkv.PARTIAL",
        "film.crdownload",
        "film.download",
        "film.opdownload",
        "film.tmp",
        "film.temp",
        "film.filepart",
        "film.!uT",
        "film.aria2",
        "note.swp",
        "note.lock",
        "note.txt~",
        "~$letter.docx",
        "~syncthing~photo.jpg.tmp",
        "~syncthing~photo.jpg",
        "Thumbs.db",
        "THUMBS.DB",
        "Desktop.ini",
        ".prompt",
        *(
            ".syncthing.photo.jpg.tmp",
            ".stversions",
            "._sync_0123.db",
            ".dropbox.cache",
            ".nfs000000000012",
            ".fuse_hidden0000",
        ),
        *(".smbdeleteAAA1", "smbdeleteAAA1", ".~lock.letter.odt#", "._scan.pdf", ".DS_Store", ".Trash-1000"),
        *(
            "film.mkv.!qB",
            "film.mkv.!bt",
            "film.mkv.bc!",
            "film.mkv.!sync",
            "film.part.met",
            "letter.docx.sb-1a2b3c4d-AbCdEf",
        ),
        *("#notes.txt#", "notes.swo", "plan.dwl2", "base.laccdb", "sync.ffs_db", "photo.jpg@SynoEAStream"),
        *("scan.pdf:Zone.Identifier", "ehthumbs.db", "ehthumbs_vista.db", "Icon\r", "SYNOFILE_THUMB_M.jpg"),
        *(
            "@eaDir",
            "#recycle",
            "#snapshot",
            "@Recycle",
            "@Recently-Snapshot",
            "$RECYCLE.BIN",
            "RECYCLER",
            "lost+found",
        ),
        *("System Volume Information", "__MACOSX", "Network Trash Folder", "FOUND.000", "_gsdata_", "~snapshot"),
    ],
)
def test_temporary_and_hidden_names_are_ignored(name):
    assert is_ignored(name)


@pytest.mark.parametrize(
    "name",
    [
        "photo.jpg",
        "part.jpg",
        "#1 invoice.pdf",
        "recycle",
        "snapshot.png",
        "lost and found.pdf",
        "@home.jpg",
        "C#",
        "sb-1.txt",
        "tmp",
        "lock",
        "~photo.jpg",
        "thumbs.db.jpg",
        "a.prompt",
        "my.download.pdf",
        "caf\udce9",
    ],
)
def test_names_of_drops_are_not_ignored(name):
    assert not is_ignored(name)


def test_sidecars_do_not_count_as_temporary_names():
    assert not is_ignored("photo.jpg.prompt")


@pytest.mark.parametrize(
    ("pattern", "path", "is_match"),
    [
        ("*.bak", "a/b/letter.BAK", True),
        ("*.bak", "letter.bak.pdf", False),
        ("drafts", "bank/Drafts/2024/x.pdf", True),
        ("drafts/", "drafts/x.pdf", True),
        ("drafts", "my drafts/x.pdf", False),
        ("bank/old", "bank/old/x.pdf", True),
        ("bank/old/*.csv", "bank/old/x.csv", True),
        ("bank/old", "other/bank/old/x.pdf", False),
        ("IMG_[0-9]*", "img_1.jpg", True),
        ("caf\udce9*", "caf\udce9.txt", True),
        ("a\nb", "a\nb", True),
    ],
)
def test_pattern_matches_names_or_paths(pattern: str, path: str, is_match: bool):
    assert IgnorePatterns([pattern]).match(PurePath(path)) is is_match


@pytest.mark.parametrize(
    ("ignore", "reason"),
    [
        (["*"], "would ignore every file"),
        (["**/*"], "would ignore every file"),
        ([""], "would ignore every file"),
        (["/srv/inbox/x"], "not relative to the inbox"),
        (["a/../b"], "not relative to the inbox"),
        (["a\nb"], "control characters"),
        (["x" * 300], "255"),
        ("*.bak", "list"),
    ],
)
def test_pattern_that_cannot_be_meant_is_an_error(ignore: object, reason: str):
    with pytest.raises(ConfigError, match=reason):
        config.loader.parse({"inbox": {"ignore": ignore}}, source=None, home=PurePath("/tmp"))


def _with_patterns(patterns: str) -> str:
    return TOML.replace("settle_seconds = 2", f"settle_seconds = 2\nignore = {patterns}")


def test_ignored_files_and_folders_are_counted_and_not_taken(make_inbox: Callable):
    inbox: InboxHarness = make_inbox(toml=_with_patterns('["*.bak", "drafts"]'))
    for name in ("a.txt", "a.bak", "drafts/b.txt", "@eaDir/c.txt", "x/#recycle/d.txt", "x/Thumbs.db"):
        inbox.write(name)
    inbox.scan(now=10.0)
    inbox.intake.on_hint(Hint(folder=inbox.path / "drafts", name="b.txt", complete=True), 11.0)
    inbox.intake.step(13.0)
    assert inbox.files() == ["a.txt"] and inbox.intake.left == {}
    assert inbox.intake.ignored == 5, "two folders and a file at the top, two entries in x"


def test_rename_from_an_ignored_name_is_taken_at_once(make_inbox: Callable):
    inbox: InboxHarness = make_inbox(toml=_with_patterns('["*.upload"]'))
    path = inbox.write("a.txt.upload")
    inbox.scan(now=10.0)
    path.rename(inbox.path / "a.txt")
    inbox.intake.on_hint(Hint(folder=inbox.path, name="a.txt", complete=True), 11.0)
    assert inbox.intake.step(11.0) == 1


def test_new_patterns_apply_to_files_that_already_wait(inbox: InboxHarness):
    inbox.write("a.bak")
    inbox.write("b.txt")
    inbox.scan(now=10.0)
    inbox.configure(_with_patterns('["*.bak"]'))
    assert inbox.intake.next_check(10.5) == 0.0
    inbox.intake.step(10.5)
    inbox.intake.step(13.0)
    assert inbox.files() == ["b.txt"]


def test_files_are_taken_once_their_pattern_is_gone(make_inbox: Callable):
    inbox: InboxHarness = make_inbox(toml=_with_patterns('["*.bak"]'))
    inbox.write("a.bak")
    inbox.scan(now=10.0)
    inbox.configure(TOML)
    inbox.intake.step(14.0)
    inbox.intake.step(17.0)
    assert inbox.files() == ["a.bak"] and inbox.intake.ignored == 0
