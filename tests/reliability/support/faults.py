"""Daemons whose system calls on their own folders are numbered, fail, or are their last; see faults.c.

They are forked from a small server process that has preloaded the library and imported the daemon's modules. This is
fast, and keeps the libraries and threads of the tests' own process out of the daemons.
"""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from paths import PYTHONPATH
from sandbox import Place

if TYPE_CHECKING:
    from daemon.server import service

HERE = Path(__file__).parent
DEADLINE, SABOTAGED_DEADLINE = 60, 10  # seconds; a daemon that has not ended by then hangs


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault to inject into one daemon (or, `in_worker`, into its workers)."""

    kill_at: int = 0  # 2n - 1: before the n-th call that changes something; 2n: after it; 0: never
    call: str = ""  # the kind of call that fails: rename, fsync, create …
    nth: int = 0  # the first of these that fails; 0: none
    count: int = 1  # how many in a row
    error: int = 0  # errno
    in_worker: bool = False
    threads: int = 1  # of `daemon.core.parallel`; with more, the calls come in another order each time
    sabotage: str = ""  # a deliberately broken daemon: see `_SABOTAGE`


NONE = Fault()


class ForkServer:
    """Starts daemons with faults, one at a time."""

    def __init__(self, build: Path):
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            pytest.skip("needs a C compiler for the library that makes system calls fail")
        library = build / "faults.so"
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, HERE / "faults.c", "-ldl"],
            check=True,
        )
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faults"],
            env={
                **os.environ,
                "PYTHONPATH": PYTHONPATH,
                "LD_PRELOAD": str(library),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, place: Place, fault: Fault = NONE) -> None:
        """Start a drain of `place`; `wait` returns its exit status."""
        for name in ("calls", "gone"):
            (place.home / name).unlink(missing_ok=True)
        roots = [place.inbox, place.outbox, place.state]
        order = {"home": str(place.home), "config": str(place.config), "roots": [str(path) for path in roots]}
        self._process.stdin.write(json.dumps({**order, "fault": asdict(fault)}) + "\n")
        self._process.stdin.flush()

    def wait(self, place: Place) -> int:
        """Return its exit status; -9: it was killed."""
        answer = self._process.stdout.readline()
        assert answer, "the fork server died"
        status = json.loads(answer)
        assert status is not None, f"the daemon hangs after {calls(place)[-3:]}"
        return status

    def run(self, place: Place, fault: Fault = NONE) -> int:
        self.start(place, fault)
        return self.wait(place)

    def stop(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def calls(place: Place) -> list[str]:
    """The calls of the last daemon, "NAME PATH" with the path relative to the place (the outbox may be elsewhere) and,
    after a tab, the source of a rename or link; failed ones appear a second time, as "FAILED NAME PATH"."""
    try:
        text = (place.home / "calls").read_text(errors="replace")
    except FileNotFoundError:
        return []
    return text.replace(str(place.outbox), "outbox").replace(f"{place.home}/", "").splitlines()


def changes(place: Place) -> list[str]:
    """The calls that change something, in the order of `Fault.kill_at`."""
    return [call for call in calls(place) if call.split(" ", 1)[0] not in ("open", "read", "stat", "FAILED")]


def cause_is_gone(place: Place) -> None:
    """End the fault: from now on, no call fails."""
    (place.home / "gone").touch()


# ------------------------------------------------------------------------------------------- in the server process


def _serve() -> None:
    import signal

    _preload()
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _drain(order)
        signal.signal(signal.SIGALRM, lambda *_, pid=pid: os.kill(pid, signal.SIGKILL) or _hangs.append(pid))
        signal.alarm(SABOTAGED_DEADLINE if order["fault"]["sabotage"] else DEADLINE)
        _, status = os.waitpid(pid, 0)
        signal.alarm(0)
        answer = None if pid in _hangs else os.waitstatus_to_exitcode(status)
        print(json.dumps(answer), flush=True)


_hangs: list[int] = []


def _preload() -> None:
    import apscheduler.schedulers.background
    import sqlalchemy.dialects.sqlite

    import daemon.cli.main  # noqa: F401
    import daemon.server.service  # noqa: F401

    assert apscheduler and sqlalchemy


def _drain(order: dict) -> None:
    """Run the daemon in the forked process; never return."""
    from daemon import config
    from daemon.cli import logs
    from daemon.core import parallel
    from daemon.core.errors import InboxdError
    from daemon.server import service

    home, fault = Path(order["home"]), Fault(**order["fault"])
    log = os.open(home / "daemon.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    logs.set_up(verbose=False)
    os.chdir(home)
    plan = (
        "\n".join(order["roots"]),
        fault.kill_at,
        fault.call,
        fault.nth,
        fault.count,
        fault.error,
        str(home / "gone"),
    )
    if fault.in_worker:
        os.environ["FAULTS"] = "\t".join(str(part) for part in (*plan, home / "calls"))
    settings = config.load(Path(order["config"]))
    parallel.threads = fault.threads
    for name in filter(None, fault.sabotage.split()):
        _SABOTAGE[name]()
    if not fault.in_worker:
        report = os.open(home / "calls", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        encoded = [part.encode() if isinstance(part, str) else ctypes.c_long(part) for part in plan]
        ctypes.CDLL(None).faults_arm(*encoded, report)
    status = 1
    try:
        service.serve(settings, drain=True, on_change=_submission(home))
        status = 0
    except InboxdError as error:
        print(f"inboxd: {error}", file=sys.stderr)
        status = error.exit_code
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _submission(home: Path) -> "Callable[[service.Service], None] | None":
    """What the main thread does in its first iteration: it answers the request in submit.json, if there is one."""
    from daemon.core.messages import Request

    if not (home / "submit.json").exists():
        return None
    requests = [Request(command="submit", arguments=json.loads((home / "submit.json").read_text()))]

    def answer(service: "service.Service") -> None:
        while requests:
            print("answer:", service.app.commands.answer(requests.pop()), file=sys.stderr)

    return answer


def _forget_the_taken() -> None:
    from daemon.recovery.startup import Recovery

    Recovery._sweep_or_adopt = lambda self, job_id: None


def _finish_before_the_rename() -> None:
    from daemon.publishing.completion import Completion

    Completion._rename = lambda self, job: job


def _charge_for_the_disk() -> None:
    from daemon.scheduling import retry
    from processors.contract import FailureKind

    decide = retry.decide
    retry.decide = lambda job, failure, **rules: decide(
        job, FailureKind.ERROR if failure is FailureKind.STORAGE else failure, **rules
    )


def _keep_nothing() -> None:
    from daemon.files.disk_retry import DiskRetry

    DiskRetry._try = lambda self, key, waiting: waiting.step() or True


def _fsync_no_folder() -> None:
    from daemon.core import durable

    durable.fsync_folder = lambda folder: None


def _fsync_no_document() -> None:
    from daemon.core import durable

    durable.write_file = lambda path, content: path.write_bytes(content) and None


def _fsync_no_drop() -> None:
    from daemon.core.syncer import Syncer

    Syncer.sync_in_place = lambda self, path: True


def _fsync_no_upload() -> None:
    from daemon.intake.claimer import Claimer

    fsync = Claimer.record_submitted
    Claimer.record_submitted = lambda self, job, entry, source: fsync(self, job, entry, entry.path.parent)


def _fsync_no_commit() -> None:
    from daemon.queue.store import Store

    connect = Store._connect

    def connect_hastily(self):
        connection = connect(self)
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    Store._connect = connect_hastily


def _release_before_done() -> None:
    from daemon.publishing.completion import Completion

    rename = Completion._rename

    def rename_and_release(self, job):
        renamed = rename(self, job)
        self._folders.taken.release(job.id)
        return renamed

    Completion._rename = rename_and_release


def _rename_before_the_intent() -> None:
    from dataclasses import replace

    from daemon.publishing.publisher import Publisher
    from daemon.queue.store import Store

    publishers, init, intend = [], Publisher.__init__, Store.intend

    def remember(self, *arguments, **options):
        init(self, *arguments, **options)
        publishers.append(self)

    def intend_afterwards(self, job, **facts):
        publishers[-1]._folders.outbox.publish(replace(job, result_path=facts["result_path"]))
        return intend(self, job, **facts)

    Publisher.__init__ = remember
    Store.intend = intend_afterwards


def _fsync_no_document_of_a_group() -> None:
    from daemon.core import durable

    durable.fsync_and_close = os.close


def _rename_a_group_before_the_intents() -> None:
    from daemon.publishing.group import GroupPublisher

    name = GroupPublisher._name

    def name_and_rename(self, results):
        named = name(self, results)
        for job in named:
            self._folders.outbox.publish(job)
        return named

    GroupPublisher._name = name_and_rename
    GroupPublisher._rename = lambda self, job: True


def _finish_a_group_before_the_renames() -> None:
    from daemon.publishing.group import GroupPublisher

    GroupPublisher._rename = lambda self, job: True


def _release_a_group_before_it_is_done() -> None:
    from daemon.files.outbox import Outbox
    from daemon.publishing.group import GroupPublisher

    rename = GroupPublisher._rename

    def rename_and_release(self, job):
        renamed = rename(self, job)
        Outbox.fsync_results(self._folders.outbox, job.result_path)
        self._folders.taken.release(job.id)
        return renamed

    GroupPublisher._rename = rename_and_release


def _fsync_no_folder_of_a_group() -> None:
    from daemon.files.outbox import Outbox

    Outbox.fsync_results = lambda self, *paths: None


_SABOTAGE = {
    function.__name__.removeprefix("_"): function
    for function in (
        *(_forget_the_taken, _finish_before_the_rename, _charge_for_the_disk, _keep_nothing),
        *(_fsync_no_folder, _fsync_no_document, _fsync_no_drop, _fsync_no_commit),
        *(_release_before_done, _rename_before_the_intent, _fsync_no_upload),
        *(_fsync_no_document_of_a_group, _rename_a_group_before_the_intents, _finish_a_group_before_the_renames),
        *(_release_a_group_before_it_is_done, _fsync_no_folder_of_a_group),
    )
}

if __name__ == "__main__":
    _serve()
