"""The order in which a daemon wrote, synced and renamed, and where that order is unsafe.

Works on the calls that faults.c has recorded: a rename is safe only if everything that it makes visible is on the disk
before it, and it is itself on the disk only once its folder was synced.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

LOG = "state/jobs.db-wal"  # of SQLite: a commit is a write and then a sync of it
TAKEN, STAGING, OUTBOX = "inbox/.taken/", "outbox/.staging/", "outbox/"


@dataclass
class _State:
    """The state after some of the calls."""

    dirty: dict[str, str] = field(default_factory=dict)  # path -> the changes since it was last synced
    promised: dict[str, str] = field(default_factory=dict)  # must be synced before the next write to the log -> why
    unsynced_log: bool = False
    commits: int = 0
    staged: dict[str, int] = field(default_factory=dict)  # attempt's folder -> commits when it was last synced
    published: dict[str, int] = field(default_factory=dict)  # job -> commits when its result was safely visible
    awaited: dict[str, set[str]] = field(default_factory=dict)  # folder to be synced -> the jobs published into it
    renames: int = 0


class Order:
    """Reads calls one by one; `violations` are the broken rules, `renames` the number of renames that were checked."""

    def __init__(self, calls: list[str]):
        self._state = _State()
        self.violations = [
            f"call {number}, {call}: {why}" for number, call in enumerate(calls) for why in self._see(call)
        ]

    @property
    def renames(self) -> int:
        return self._state.renames

    def _see(self, call: str) -> Iterator[str]:
        kind, _, rest = call.partition(" ")
        path, _, source = rest.partition("\t")
        folder, state = os.path.dirname(path), self._state
        if kind == "fsync":
            self._sync(path)
        elif path == LOG and kind == "write":
            state.unsynced_log = True
            for late, why in state.promised.items():
                yield f"{late} is not synced before the commit: {why}"
            state.promised.clear()
        elif path.startswith("state/"):
            return
        elif kind in ("create", "write", "truncate"):
            state.dirty[path] = kind
            if kind == "create":
                state.dirty[folder] = f"{kind} {path}"
        elif kind in ("mkdir", "link"):
            state.dirty[folder] = f"{kind} {path}"
        elif kind == "rename":
            yield from self._rename(path, source)
        elif kind in ("unlink", "rmdir") and path.startswith(TAKEN):
            yield from self._release(path)

    def _sync(self, path: str) -> None:
        state = self._state
        state.dirty.pop(path, None)
        state.promised.pop(path, None)
        if path == LOG:
            state.commits += state.unsynced_log
            state.unsynced_log = False
        if path.startswith(STAGING):
            state.staged[path] = state.commits
        if path in state.awaited:
            state.published |= dict.fromkeys(state.awaited.pop(path), state.commits)

    def _rename(self, path: str, source: str) -> Iterator[str]:
        state = self._state
        state.renames += 1
        if path.startswith(TAKEN) and source.startswith(TAKEN):  # the folder of a submitted file gets its name
            state.promised = {late.replace(source, path, 1): why for late, why in state.promised.items()}
            state.promised[TAKEN.rstrip("/")] = f"{path} was taken"
        elif path.startswith(TAKEN):
            for late in (path, os.path.dirname(path), TAKEN.rstrip("/"), os.path.dirname(source)):
                state.promised[late] = f"{source} was taken"
        elif source.startswith(STAGING):
            for late, why in state.dirty.items():
                if (late + "/").startswith(source + "/") or late == STAGING.rstrip("/") and source in why:
                    yield f"{late} is visible before it is synced ({why})"
            if source in state.staged and state.staged[source] == state.commits:
                yield "it is visible before its intent is committed"
            if state.unsynced_log:
                yield "it is visible before the commit is synced"
            folder = os.path.dirname(path)
            state.promised[folder] = f"{path} was published"
            state.awaited.setdefault(folder, set()).add(os.path.basename(source).split(".")[0])

    def _release(self, path: str) -> Iterator[str]:
        job = path.removeprefix(TAKEN).split("/")[0]
        if "-" not in job:
            return  # not that of a job
        if job not in self._state.published:
            yield "the original is removed before its result is safely visible"
        elif self._state.published[job] == self._state.commits:
            yield "the original is removed before the commit that says done"
