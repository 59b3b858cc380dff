"""The life cycle of a file, with the daemon as a real process and workers as its real children."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import requires
from sandbox import Place, wait_for

MISBEHAVING = """
    [inbox]
    text = "misbehave"
    settle_seconds = 0.1
    [recipes.misbehave]
    processor = "fakes.misbehaving"
    {recipe}
    [retry]
    backoff = "50ms"
    [schedule]
    probe = "200ms"
    unload = "200ms"
"""


def test_text_file_gets_its_result(place: Place):
    place.drop("bank/2024/notes.txt", "three little words\n")
    place.drain()
    row = place.row("bank/2024/notes.txt")
    assert (row["state"], row["recipe"], row["attempts"]) == ("done", "count", 1)
    folder = place.outbox / "bank" / "2024" / "notes"
    assert (folder / "notes.txt").read_text() == "three little words\n"
    assert (folder / "original" / "notes.txt").read_text() == "three little words\n"
    facts = place.result("bank/2024/notes.txt")
    assert facts["original"]["path"] == "original/notes.txt"
    assert facts["details"] == {"words": 3}
    assert [path.name for path in (place.inbox / ".taken").iterdir()] == [".lock"]
    assert [path.name for path in (place.outbox / ".staging").iterdir()] == [".lock"]
    place.verify()


def test_same_name_twice_gives_two_results(place: Place):
    place.drop("a.txt", "first")
    place.drain()
    place.drop("a.txt", "second")
    place.drop("a.log", "third")
    place.drain()
    texts = {(place.outbox / name / f"{name.split()[0]}.txt").read_text() for name in ("a", "a (2)", "a (3)")}
    assert texts == {"first", "second", "third"}
    place.verify()


def test_result_does_not_take_the_name_of_a_folder_of_the_inbox(place: Place):
    (place.inbox / "bank").mkdir()
    place.drop("bank.txt", "one")
    place.drop("bank/x.txt", "two")
    place.drain()
    assert (place.outbox / "bank (2)" / "result.json").exists()
    assert (place.outbox / "bank" / "x" / "result.json").exists()


def test_folder_named_failed_does_not_mix_with_failures(place: Place):
    place.write_config(Place.TEXT.replace("[inbox]", '[inbox]\nunsupported = "fail"'))
    place.drop("failed/x.txt", "fine")
    place.drop("failed/y.bin", b"\x00\x01\x02")
    place.drain(check=1)
    assert (place.outbox / "failed (folder)" / "x" / "result.json").exists()
    assert (place.outbox / "failed" / "failed" / "y" / "error.json").exists()


def test_unsupported_file_is_given_back_with_the_reason(place: Place):
    place.write_config(Place.TEXT.replace("[inbox]", '[inbox]\nunsupported = "fail"'))
    place.drop("thing.bin", b"\x00\x01\x02\x03" * 50)
    place.drop("empty.txt", b"")
    place.drop("latin.txt", "ä".encode("latin-1"))
    place.drain(check=1)
    for file in ("thing.bin", "empty.txt", "latin.txt"):
        row = place.row(file)
        assert (row["state"], row["error_kind"], row["attempts"] <= 1) == ("failed", "bad_input", True), row
        folder = place.outbox / row["result_path"]
        assert (folder / file).exists()
        assert row["error"] in (folder / "error.txt").read_text()
        assert json.loads((folder / "error.json").read_text())["job"] == row["id"]
    place.verify()


def test_unsupported_file_is_passed_on_with_a_note(place: Place):
    place.drop("tools.zip", b"PK\5\6" + bytes(18))
    place.drop("thing.bin", b"\0\1\2\3" * 50)
    place.drain()
    for file, words in (("tools.zip", "This is a ZIP archive. Unpack it"), ("thing.bin", "does not know this type")):
        row = place.row(file)
        assert (row["state"], row["recipe"], row["error"]) == ("done", None, None), row
        assert words in row["review"]
        folder = place.outbox / row["result_path"]
        assert (folder / file).exists() and words in (folder / "note.txt").read_text()
    place.verify()


def test_unsupported_file_is_left_until_a_recipe_is_bound(place: Place):
    place.write_config(Place.TEXT.replace('text = "count"', 'text = ""\nunsupported = "leave"'))
    place.start()
    path = place.drop("letter.rtf", "{\\rtf1 Hello}")
    why = wait_for(lambda: json.loads(place.inboxd("status", "--json").stdout)["left_in_inbox"].get("letter.rtf"))
    assert "This is an RTF document" in why and path.exists() and place.rows() == []
    place.write_config(Place.TEXT)
    place.inboxd("reload")
    assert place.ended("letter.rtf")["recipe"] == "count"


def test_names_are_preserved_whatever_they_contain(place: Place):
    names = [
        "-rf.txt",
        "new\nline.txt",
        "quote'\".txt",
        "\u202eright.txt",
        "x" * 250 + ".txt",
        "a.b.c.txt",
        "%s $(x).txt",
    ]
    raw = os.fsdecode(b"caf\xe9.txt")
    for name in [*names, raw]:
        place.drop(name, f"text of {len(name)}")
    place.drain()
    rows = place.rows()
    assert [row["state"] for row in rows] == ["done"] * 8
    originals = {path.name for path in place.outbox.glob("*/original/*")} | {
        p.name for p in place.outbox.glob("*/*.txt")
    }
    assert {*names, raw} <= originals
    place.verify()


def test_ignored_names_and_irregular_files_stay_in_the_inbox(place: Place):
    ignored = [".hidden.txt", "x.part", "y.CRDOWNLOAD", "z.txt~", "~$doc.txt", ".syncthing.a.txt.tmp"]
    for name in ignored:
        (place.inbox / name).write_text("x")
    os.mkfifo(place.inbox / "fifo.txt")
    secret = place.home / "secret.txt"
    secret.write_text("not yours")
    (place.inbox / "link.txt").symlink_to(secret)
    (place.inbox / "folder").symlink_to(place.home)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(place.inbox / "socket.txt"))
        place.drain()
    assert place.rows() == []
    assert {path.name for path in place.inbox.iterdir()} == {
        *ignored,
        "fifo.txt",
        "link.txt",
        "folder",
        "socket.txt",
        ".taken",
        ".incoming",
    }
    assert secret.read_text() == "not yours"


def test_file_that_is_still_written_is_not_taken(place: Place):
    daemon = place.start()
    with (place.inbox / "slow.txt").open("w") as file:
        file.write("half")
        file.flush()
        place.drop("other.txt", "quick")
        place.ended("other.txt")
        wait_for(lambda: _settled_for(place.inbox / "slow.txt", 1.0), "a pause longer than settle_seconds")
        assert place.row("slow.txt") is None
        file.write(" and the rest")
    assert place.ended("slow.txt")["state"] == "done"
    assert (place.outbox / "slow" / "slow.txt").read_text() == "half and the rest"
    _stop(daemon)


def _settled_for(path: Path, seconds: float) -> bool:
    return time.time() - path.stat().st_mtime > seconds


def test_moved_in_tree_is_taken_complete(place: Place):
    daemon = place.start()
    tree = place.home / "tree"
    for number in range(6):
        folder = tree / f"sub{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file{number}.txt").write_text(str(number))
    tree.rename(place.inbox / "tree")
    for number in range(6):
        assert place.ended(f"tree/sub{number % 3}/file{number}.txt")["state"] == "done"
    _stop(daemon)
    place.verify()


def test_stop_puts_running_jobs_back_and_the_next_start_does_them(make_place):
    place = make_place(MISBEHAVING.format(recipe="") + "[workers]\nstop_seconds = 0\n")
    go = place.home / "go"
    place.drop("waits.txt", f"wait_for {go}")
    daemon = place.start()
    wait_for(lambda: (place.row("waits.txt") or {}).get("state") == "running", "the job to run")
    _stop(daemon)
    assert place.row("waits.txt")["state"] == "queued"
    place.verify()
    go.touch()
    place.drain()
    row = place.row("waits.txt")
    assert (row["state"], row["attempts"]) == ("done", 2)
    place.verify()


def test_graceful_stop_lets_a_running_job_finish(make_place):
    place = make_place(MISBEHAVING.format(recipe=""))
    go = place.home / "go"
    place.drop("waits.txt", f"wait_for {go}")
    daemon = place.start()
    wait_for(lambda: (place.row("waits.txt") or {}).get("state") == "running", "the job to run")
    daemon.send_signal(signal.SIGTERM)
    go.touch()
    assert daemon.wait(20) == 0
    assert place.row("waits.txt")["state"] == "done"


def test_second_daemon_on_the_same_inbox_is_refused(place: Place):
    daemon = place.start()
    second = place.inboxd("run", "--drain", check=75)
    assert "already running" in second.stderr and str(daemon.pid) in second.stderr
    _stop(daemon)


def test_folders_in_one_another_are_refused(make_place):
    place = make_place('[paths]\noutbox = "inbox/results"\n')
    refused = place.inboxd("run", "--drain", check=78)
    assert "overlap" in refused.stderr and "[paths]" in refused.stderr


def test_taken_on_another_file_system_is_refused(place: Place):
    requires.mounts()
    (place.inbox / ".taken").mkdir()
    run = f"{sys.executable} -m daemon.cli run --drain --config {place.config}"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs tmpfs {place.inbox}/.taken && exec {run}"],
        capture_output=True,
        text=True,
        env=place.environment(),
    )
    assert done.returncode == 78 and "different file systems" in done.stderr and "Unmount" in done.stderr, done.stderr


def test_outbox_on_another_file_system_gets_a_verified_copy(place: Place):
    requires.mounts()
    place.write_config(Place.TEXT.replace("[inbox]", '[inbox]\nunsupported = "fail"'))
    place.drop("a.txt", "copied")
    place.drop("b.bin", b"\x00\x01")
    run = f"{sys.executable} -m daemon.cli run --drain --config {place.config}"
    script = f"mkdir {place.outbox} && mount -t tmpfs tmpfs {place.outbox} && {run}; inboxd_status=$?;"
    script += f"cat {place.outbox}/a/original/a.txt; ls {place.outbox}/failed/b; exit $inboxd_status"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, env=place.environment()
    )
    assert done.returncode == 1, done.stderr
    assert "copied" in done.stdout and "b.bin" in done.stdout and "error.txt" in done.stdout


def test_full_outbox_pauses_the_work_until_there_is_room(place: Place):
    requires.mounts()
    place.drop("big.txt", "x" * 3_000_000)
    run = f"{sys.executable} -m daemon.cli run --drain --config {place.config}"
    script = f"mkdir {place.outbox} && mount -t tmpfs -o size=2m tmpfs {place.outbox} && {run};"
    script += f"mount -o remount,size=20m {place.outbox} && {run} && ls {place.outbox}/big"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, env=place.environment()
    )
    assert done.returncode == 0, done.stderr
    assert "No space left" in done.stderr
    assert place.rows("SELECT charged FROM jobs")[0]["charged"] == 0
    assert "result.json" in done.stdout


def test_crashing_hanging_and_failing_jobs_do_not_stop_the_others(make_place):
    place = make_place(MISBEHAVING.format(recipe='timeout = "4s"\nmax_batch = 4\n'))
    misdeeds = ["segfault", "hang with-child", "exit 0", "error no luck", "bad", "noisy", "fine", "memory", "fine too"]
    for number, misdeed in enumerate(misdeeds):
        place.drop(f"{number}.txt", misdeed)
    place.drain(check=1)
    states = [place.row(f"{number}.txt") for number in range(len(misdeeds))]
    kinds = [row["error_kind"] for row in states]
    assert kinds == ["crashed", "timeout", "crashed", "error", "bad_input", None, None, "out_of_memory", None]
    assert "SIGSEGV" in states[0]["error"]
    child = int((place.home / "child.pid").read_text())
    wait_for(lambda: not _is_alive(child), "the end of what the hanging worker had started")
    place.verify()


def test_finished_pages_survive_a_crash_and_are_forgotten_with_the_job(make_place):
    place = make_place(MISBEHAVING.format(recipe=""))
    place.drop("long.txt", "pages 4")
    place.drain()
    assert [row["attempt"] for row in place.rows("SELECT attempt FROM attempts ORDER BY attempt")] == [1, 2]
    assert (place.home / "made.txt").read_text().split() == ["1", "2", "3", "4", "5"]
    assert list((place.home / "state" / "kept").iterdir()) == []


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_error_over_one_file_of_a_batch_does_not_fail_the_others(make_place):
    place = make_place(MISBEHAVING.format(recipe="max_batch = 4").replace("[retry]", "[retry]\n    attempts = 1"))
    for name, misdeed in (("a", "fine"), ("b", "error no luck"), ("c", "fine"), ("d", "fine")):
        place.drop(f"{name}.txt", misdeed)
    place.drain(check=1)
    assert [row["state"] for row in place.rows("SELECT state FROM job_log ORDER BY file")] == [
        *("done", "failed", "done", "done")
    ]
    assert place.row("b.txt")["error_kind"] == "error"


def test_crash_that_passes_is_retried(make_place):
    place = make_place(MISBEHAVING.format(recipe=""))
    place.drop("once.txt", f"crash_once {place.home / 'crashed'}")
    place.drain()
    assert (place.row("once.txt")["state"], place.row("once.txt")["attempts"]) == ("done", 2)
    outcomes = [row["outcome"] for row in place.rows("SELECT outcome FROM attempts ORDER BY attempt")]
    assert outcomes == ["crashed", "finished"]


def test_missing_weights_park_the_jobs_uncharged_until_they_come(make_place):
    weights = "weights.bin"
    place = make_place(MISBEHAVING.format(recipe=f'unavailable_until = "{weights}"'))
    place.drop("one.txt", "fine")
    parked = place.drain(check=1)
    assert "put them at weights.bin" in " ".join(parked.stdout.split())
    assert place.row("one.txt")["attempts"] == 0
    daemon = place.start()
    (place.home / weights).touch()
    assert place.ended("one.txt")["state"] == "done"
    _stop(daemon)


def test_unavailable_server_costs_no_attempts(make_place):
    place = make_place(MISBEHAVING.format(recipe=""))
    back = place.home / "back"
    for number in range(5):
        place.drop(f"{number}.txt", f"unavailable {back}")
    daemon = place.start()
    wait_for(lambda: all(row["waiting_for"] for row in place.rows()) and len(place.rows()) == 5, "all to wait")
    back.touch()
    assert [place.ended(f"{number}.txt")["state"] for number in range(5)] == ["done"] * 5
    assert place.rows("SELECT max(charged) AS most FROM jobs")[0]["most"] == 0
    _stop(daemon)


def test_processor_that_cannot_be_loaded_parks_its_jobs_with_its_last_words(make_place):
    place = make_place(MISBEHAVING.format(recipe="crash_at_load = true"))
    place.drop("one.txt", "fine")
    parked = place.drain(check=1)
    assert "libmissing.so" in parked.stderr
    assert place.row("one.txt")["state"] == "queued"


def test_file_replaced_while_it_is_processed_is_processed_again(make_place):
    place = make_place(MISBEHAVING.format(recipe=""))
    place.drop("changes.txt", f"touch_original {place.home / 'touched'}\n")
    place.drain()
    row = place.row("changes.txt")
    assert (row["state"], row["attempts"]) == ("done", 2)
    assert (place.outbox / "changes" / "changes.txt").read_text().endswith("more\n")
    place.verify()


def test_retry_queues_a_failed_job_again(make_place):
    place = make_place(MISBEHAVING.format(recipe="").replace("[retry]", "[retry]\nattempts = 1"))
    mark = place.home / "crashed"
    place.drop("a/once.txt", f"crash_once {mark}")
    daemon = place.start()
    row = place.ended("a/once.txt")
    assert row["state"] == "failed" and mark.exists()
    place.inboxd("retry", row["id"][:8])
    wait_for(lambda: place.row("a/once.txt")["state"] == "done", "the second try")
    assert not (place.outbox / "failed" / "a").exists()
    _stop(daemon)
    place.verify()


def test_failed_original_moved_back_into_the_inbox_is_a_new_drop(make_place):
    place = make_place(MISBEHAVING.format(recipe=""))
    place.drop("x.txt", "bad")
    place.drain(check=1)
    failed = place.outbox / place.row("x.txt")["result_path"] / "x.txt"
    failed.rename(place.inbox / "x.txt")
    (place.inbox / "x.txt").write_text("fine")
    place.drain()
    assert sorted(row["state"] for row in place.rows()) == ["done", "failed"]
    place.verify()


def test_cancel_ends_a_queued_and_a_running_job(make_place):
    place = make_place(MISBEHAVING.format(recipe=""))
    place.drop("runs.txt", "hang")
    daemon = place.start()
    wait_for(lambda: (place.row("runs.txt") or {}).get("state") == "running", "the job to run")
    place.drop("queued.txt", "fine")
    wait_for(lambda: place.row("queued.txt"), "the second job")
    for file in ("queued.txt", "runs.txt"):
        place.inboxd("cancel", place.row(file)["id"][:8])
        assert place.ended(file)["state"] == "cancelled"
        assert (place.outbox / "failed" / file.removesuffix(".txt") / file).exists()
    _stop(daemon)
    place.verify()


def test_originals_are_archived_or_deleted_as_configured(make_place):
    place = make_place(
        Place.TEXT + '[inbox.folders.a]\noriginals = "archive"\n[inbox.folders.d]\noriginals = "delete"\n'
    )
    place.drop("a/x.txt", "to keep apart")
    place.drop("d/y.txt", "to delete")
    place.drain()
    archived = place.result("a/x.txt")["original"]["path"]
    assert (place.state / "archive" / archived.removeprefix("archive:")).read_text() == "to keep apart"
    assert place.result("d/y.txt")["original"] == {"policy": "delete", "path": None}
    assert sorted(path.name for path in (place.outbox / "d" / "y").iterdir()) == ["result.json", "y.txt"]
    place.verify()


def test_idle_worker_is_ended_after_keep_alive_and_started_again(make_place):
    place = make_place(MISBEHAVING.format(recipe='keep_alive = "1ms"'))
    daemon = place.start()
    place.drop("a.txt", "fine")
    place.ended("a.txt")
    wait_for(lambda: "has exited" in place.log(), "the worker's end")
    place.drop("b.txt", "fine")
    assert place.ended("b.txt")["state"] == "done"
    _stop(daemon)


def test_kill_9_of_a_worker_costs_its_job_one_attempt(make_place):
    place = make_place(MISBEHAVING.format(recipe=""))
    go = place.home / "go"
    place.drop("a.txt", f"wait_for {go}")
    daemon = place.start()
    wait_for(lambda: (place.row("a.txt") or {}).get("state") == "running", "the job to run")
    pid = place.rows("SELECT worker_pid FROM attempts")[0]["worker_pid"]
    os.kill(pid, signal.SIGKILL)
    go.touch()
    row = place.ended("a.txt")
    assert (row["state"], row["attempts"]) == ("done", 2)
    _stop(daemon)


def test_kill_9_of_the_daemon_takes_its_workers_along_and_loses_nothing(make_place):
    place = make_place(MISBEHAVING.format(recipe=""))
    go = place.home / "go"
    place.drop("a.txt", f"wait_for {go}")
    daemon = place.start()
    wait_for(lambda: (place.row("a.txt") or {}).get("state") == "running", "the job to run")
    pid = place.rows("SELECT worker_pid FROM attempts")[0]["worker_pid"]
    daemon.kill()
    daemon.wait()
    wait_for(lambda: not _is_alive(pid), "the worker's end")
    place.verify()
    go.touch()
    place.drain()
    assert (place.row("a.txt")["state"], place.rows("SELECT charged FROM jobs")[0]["charged"]) == ("done", 0)
    place.verify()


def test_control_socket_is_for_this_user_only(place: Place):
    daemon = place.start()
    assert stat.S_IMODE((place.state / "inboxd.sock").stat().st_mode) == 0o600
    _stop(daemon)


def test_daemon_never_imports_an_engine(place: Place):
    modules = "import daemon.cli.main, daemon.server.service, daemon.cli.terminal, daemon.cli.process_files;"
    modules += "import daemon.recovery.verify, sys;"
    modules += "from daemon import config; config.parse({}, source=None, home=__import__('pathlib').Path('/'));"
    modules += (
        "print([m for m in ('torch','transformers','whisper','cv2','rapidocr','av','PIL','numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", modules], capture_output=True, text=True, env=place.environment())
    assert done.stdout.strip() == "[]", done.stderr


def _stop(daemon: subprocess.Popen) -> None:
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(30) == 0
