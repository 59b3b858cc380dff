"""All ways in which people, programs and file systems put files into a watched folder: each file is taken once,
complete, without a restart and without waiting for a rescan. The writers are separate processes.
"""

import http.server
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from detection_rig import TOML, WatchedPlace, Writer, check_stalled_upload
from sandbox import wait_for

OLD, FUTURE = 315532800, 4102444800  # 1980 and 2100
A, B, LONG = b"alpha\n", b"beta beta\n", b"a line of text\n" * 100_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedPlace]:
    """One daemon for all tests of this module, each in its own folder. When it starts, one file is there and another
    one is growing. At the end, it must be the same process, `verify` must find no error, and the inbox must be
    empty."""
    place = WatchedPlace(tmp_path_factory.mktemp("detection"))
    place.drop("early/there.txt", A)
    try:
        with Writer(place.folder("growing")) as place.early_writer:
            place.early_writer.do("file = open('big.txt', 'w'); file.write('half'); file.flush()")
            daemon = place.start()
            yield place
        place.let_settle()
        wait_for(lambda: not _unfinished(place), "the end of all jobs")
        place.stop(daemon)
        place.verify()
        assert [path for path in place.inbox.rglob("*") if path.is_file() and ".taken" not in path.parts] == []
    finally:
        place.stop_all()


def _unfinished(place: WatchedPlace) -> bool:
    jobs = place.status()["jobs"]
    return any(jobs.get(state) for state in ("queued", "running", "publishing"))


def test_file_that_was_there_before_the_start_is_taken(place: WatchedPlace):
    place.expect("early", {"there.txt": A})


def test_file_still_growing_at_the_start_is_taken_complete(place: WatchedPlace):
    place.let_settle()
    assert place.rows_in("growing") == []
    place.early_writer.do("file.write(' and half'); file.close()")
    place.expect("growing", {"big.txt": b"half and half"})


def test_upload_that_stalls_is_taken_complete(place: WatchedPlace):
    check_stalled_upload(place)


def test_failing_files_are_retried_without_a_restart(place: WatchedPlace):
    place.drop("retried/error.txt", "error no luck")
    place.drop("retried/once.txt", f"crash_once {place.home / 'crashed'}")
    place.drop("retried/bad.txt", "bad")
    ends = {name: place.ended(f"retried/{name}.txt") for name in ("error", "once", "bad")}
    facts = {name: (row["state"], row["error_kind"], row["attempts"]) for name, row in ends.items()}
    assert facts == {"error": ("failed", "error", 3), "once": ("done", None, 2), "bad": ("failed", "bad_input", 1)}


def test_same_name_in_two_folders_is_two_files(place: WatchedPlace):
    place.drop("twins/a/x.txt", A)
    place.drop("twins/b/x.txt", B)
    place.expect("twins", {"a/x.txt": A, "b/x.txt": B})


# ---------------------------------------------------------------------------------------- by common tools


WAYS = {  # in a shell in the inbox folder; $from is a folder of the same file system, $other one of another
    "cp": ("cp $from/a.txt $from/b.txt $from/long.txt .", {"a.txt": A, "b.txt": B, "long.txt": LONG}),
    "cp_keeping_times": ("cp -p $from/old.txt $from/future.txt .", {"old.txt": A, "future.txt": B}),
    "cp_of_five_trees": (
        "for i in 1 2 3 4 5; do cp -r $from/tree tree$i; done",
        {f"tree{i}/sub{n % 3}/{n}.txt": b"%d" % n for i in range(1, 6) for n in range(6)},
    ),
    "mv": ("mv $from/moved.txt .", {"moved.txt": A}),
    "mv_of_a_folder": ("mv $from/moved_tree .", {f"moved_tree/sub{n % 3}/{n}.txt": b"%d" % n for n in range(6)}),
    "mv_of_a_deep_tree": ("mv $from/d .", {"/".join("d" * 60) + "/deep.txt": A}),
    "mv_across_file_systems": ("mv $other/long.txt $other/tree .", {"long.txt": LONG, "tree/a.txt": A}),
    "ln": ("ln $from/a.txt .", {"a.txt": A}),
    "install": ("install -m 600 $from/a.txt .", {"a.txt": A}),
    "tar_with_old_times": ("tar -xf $from/old.tar", {"old.txt": A, "tree/sub0/0.txt": b"0"}),
    "tar_with_future_times": ("tar -xf $from/future.tar", {"future.txt": B}),
    "temporary_name_like_rsync": (
        "cp $from/long.txt .long.txt.x7Yz2a && mv .long.txt.x7Yz2a long.txt",
        {"long.txt": LONG},
    ),
    "temporary_name_like_browsers": (
        "cp $from/long.txt l.txt.crdownload && mv l.txt.crdownload l.txt",
        {"l.txt": LONG},
    ),
    "save_of_an_editor": ("cp $from/a.txt .e.swp; cp $from/b.txt e.txt~; mv .e.swp e.txt; rm e.txt~", {"e.txt": A}),
    "name_first_content_later": (": > late.txt; cat $from/long.txt >> late.txt", {"late.txt": LONG}),
    "holes": ("truncate -s 3M holes.bin", {"holes.bin": bytes(3 << 20)}),
    "dd": ("dd status=none if=$from/long.txt of=long.txt bs=1000", {"long.txt": LONG}),
}


@pytest.fixture(scope="module")
def sources(place: WatchedPlace) -> Iterator[dict[str, str]]:
    """The files that the shells drop, as their environment."""
    here = place.home / "sources"
    here.mkdir()
    for name, content in {"a": A, "b": B, "long": LONG, "moved": A, "old": A, "future": B}.items():
        (here / f"{name}.txt").write_bytes(content)
    for tree in ("tree", "moved_tree"):
        for number in range(6):
            folder = here / tree / f"sub{number % 3}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.txt").write_text(str(number))
    deep = here.joinpath(*"d" * 60)
    deep.mkdir(parents=True)
    (deep / "deep.txt").write_bytes(A)
    for name, when in (("old", OLD), ("future", FUTURE)):
        os.utime(here / f"{name}.txt", (when, when))
    subprocess.run(["tar", "-cf", "old.tar", "--mtime=@315532800", "old.txt", "tree/sub0/0.txt"], cwd=here, check=True)
    subprocess.run(["tar", "-cf", "future.tar", "future.txt"], cwd=here, check=True)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as other:
        (Path(other) / "long.txt").write_bytes(LONG)
        (Path(other) / "tree").mkdir()
        (Path(other) / "tree/a.txt").write_bytes(A)
        yield {**os.environ, "from": str(here), "other": other}


@pytest.mark.parametrize("way", WAYS)
def test_file_is_taken_once_and_complete(place: WatchedPlace, sources: dict[str, str], way: str):
    script, files = WAYS[way]
    if way == "mv_across_file_systems" and os.stat(sources["other"]).st_dev == place.inbox.stat().st_dev:
        pytest.skip("needs /dev/shm as a second file system")
    subprocess.run(["sh", "-ec", script], cwd=place.folder(way), env=sources, check=True)
    place.expect(way, files)


@pytest.mark.parametrize(
    "tool", [["curl", "-s", "-o", "page.txt"], ["wget", "-q", "-O", "page.txt"]], ids=lambda it: it[0]
)
def test_slow_download_is_taken_complete(place: WatchedPlace, tool: list[str]):
    if not shutil.which(tool[0]):
        pytest.skip(f"needs {tool[0]}")
    go_on, begun = threading.Event(), threading.Event()

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(LONG)))
            self.end_headers()
            self.wfile.write(LONG[: len(LONG) // 2])
            begun.set()
            go_on.wait(60)
            self.wfile.write(LONG[len(LONG) // 2 :])

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        folder = place.folder(tool[0])
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        client = subprocess.Popen([*tool, f"http://127.0.0.1:{server.server_port}/"], cwd=folder, env=environment)
        wait_for((folder / "page.txt").exists, "the beginning of the download")
        place.let_settle()
        assert begun.is_set() and place.rows_in(tool[0]) == []
        go_on.set()
        assert client.wait(60) == 0
        place.expect(tool[0], {"page.txt": LONG})
    finally:
        go_on.set()
        server.shutdown()
        server.server_close()


# ---------------------------------------------------------------------------------------- by programs, step by step


def test_file_written_through_a_mapping_is_taken_complete(place: WatchedPlace):
    with Writer(place.folder("mapped")) as writer:
        writer.do("f = open('m.txt', 'w+b'); f.truncate(8192); m = mmap.mmap(f.fileno(), 8192); f.close()")
        writer.do("m[:4096] = b'x' * 4096")
        place.let_settle()
        assert place.rows_in("mapped") == []
        writer.do("m[4096:] = b'y' * 4096; m.close()")
    place.expect("mapped", {"m.txt": b"x" * 4096 + b"y" * 4096})


def test_file_that_its_writer_restarts_is_taken_in_its_final_form(place: WatchedPlace):
    with Writer(place.folder("later")) as writer:
        writer.do("f = open('f.txt', 'w'); f.write('a first draft of some length'); f.flush()")
        writer.do("f.seek(0); f.truncate(0); f.flush()")
        place.let_settle()
        assert place.rows_in("later") == []
        writer.do("f.write('the last word'); f.close()")
    place.expect("later", {"f.txt": b"the last word"})


def test_large_hole_that_is_filled_later_is_taken_filled(place: WatchedPlace):
    with Writer(place.folder("hole")) as writer:
        writer.do("f = open('f.txt', 'wb'); f.truncate(1000)")
        place.let_settle()
        assert place.rows_in("hole") == []
        writer.do("f.write(b'z' * 1000); f.close()")
    place.expect("hole", {"f.txt": b"z" * 1000})


def test_file_replaced_before_it_was_taken_is_the_new_one(place: WatchedPlace):
    with Writer(place.folder("replaced")) as writer:
        writer.do("f = open('f.txt', 'w'); f.write('the old one'); f.flush()")
        place.let_settle(times=1)
        writer.do("open('.new', 'w').write('the new one'); os.rename('.new', 'f.txt')")
        place.expect("replaced", {"f.txt": b"the new one"})


def test_files_deleted_immediately_leave_no_open_job(place: WatchedPlace):
    with Writer(place.folder("fleeting")) as writer:
        for _ in range(5):
            writer.do("for i in range(100): open(f'{i}.txt', 'w').close(); os.unlink(f'{i}.txt')")
    place.let_settle(times=1)
    place.drop("fleeting/stays.txt", A)
    assert place.original(place.ended("fleeting/stays.txt")) == A


def test_folder_deleted_and_created_again_is_watched(place: WatchedPlace):
    with Writer(place.folder("made_again")) as writer:
        for number in range(3):
            writer.do("os.makedirs('sub/sub'); open('sub/sub/.f', 'w').write('again')")
            writer.do(f"os.rename('sub/sub/.f', 'sub/sub/{number}.txt')")
            place.ended(f"made_again/sub/sub/{number}.txt")
            writer.do("shutil.rmtree('sub')")
    place.expect("made_again", {f"sub/sub/{number}.txt": b"again" for number in range(3)})


def test_folder_renamed_and_renamed_back_is_watched_again(place: WatchedPlace):
    with Writer(place.folder("to_and_fro")) as writer:
        writer.do(f"away = {str(place.elsewhere / 'away')!r}; os.makedirs('sub/sub'); os.rename('sub', away)")
        writer.do("open(away + '/sub/unseen.txt', 'w').write('unseen')")
        place.let_settle(times=1)
        assert place.rows_in("to_and_fro") == []
        writer.do("os.rename(away, 'sub')")
        place.ended("to_and_fro/sub/sub/unseen.txt")
        writer.do("os.rename('sub', 'other'); open('other/sub/seen.txt', 'w').write('seen')")
    place.expect("to_and_fro", {"sub/sub/unseen.txt": b"unseen", "other/sub/seen.txt": b"seen"})


def test_file_written_in_bursts_is_taken_once_and_complete(tmp_path: Path):
    """Open, append and close repeatedly, as scanners do, and FTP clients that resume. A file that is renamed in
    meanwhile is taken at once.
    """
    place = WatchedPlace(tmp_path, TOML.replace("settle_seconds = 0.3", "settle_seconds = 4"))
    try:
        daemon = place.start()
        with Writer(place.folder("bursts")) as writer:
            for burst in range(3):
                writer.do(f"with open('b.txt', 'a') as file: file.write('burst {burst}, ')")
                for number in range(3):
                    place.drop(f"meanwhile-{burst}.{number}.txt")
                    place.ended(f"meanwhile-{burst}.{number}.txt")
                assert place.rows_in("bursts") == []
        place.expect("bursts", {"b.txt": b"burst 0, burst 1, burst 2, "})
        place.stop(daemon)
        place.verify()
    finally:
        place.stop_all()


def test_rig_detects_a_daemon_that_takes_open_files(tmp_path: Path):
    """A negative control."""
    place = WatchedPlace(tmp_path)
    try:
        place.start(sabotage="writers-are-not-asked")
        with pytest.raises(AssertionError, match="while a writer had it open"):
            check_stalled_upload(place)
    finally:
        place.stop_all()
