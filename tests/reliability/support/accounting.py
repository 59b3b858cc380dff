"""The accounting at the end of a rig: each dropped content must be processed once, and nothing may be left anywhere.

It relies on the folders, and reads the job log only to learn why a good file failed.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from mixed_files import Drop
from result_checks import Seen
from sandbox import Place

from daemon.scheduling import retry


@dataclass(kw_only=True)
class Account:
    """The number of files with a wrong outcome; `notes` name them."""

    files: int = 0
    looks: int = 0  # results examined at the end
    lost: int = 0
    twice: int = 0
    partial: int = 0
    stuck: int = 0  # left in the inbox, in .taken or .staging, or not ended
    wrong: int = 0  # another state or another content than expected
    worn: int = 0  # good files that failed because kills used up their attempts: not an error of the daemon
    notes: list[str] = field(default_factory=list)

    @property
    def bad(self) -> int:
        return self.lost + self.twice + self.partial + self.stuck + self.wrong

    def note(self, what: str, kind: str, count: int = 1) -> None:
        setattr(self, kind, getattr(self, kind) + count)
        self.notes.append(f"{kind}: {what}")


def reckon(place: Place, drops: Sequence[Drop], results: Sequence[Seen]) -> Account:
    """Check a place whose daemon has ended with nothing left to do; `results`: all that appeared."""
    account = Account(files=len(drops), looks=len(results))
    seen: defaultdict[str, list[Seen]] = defaultdict(list)
    for found in results:
        for fault in found.faults:
            account.note(fault, "partial")
        seen[found.sha256].append(found)
    dropped: defaultdict[str, list[Drop]] = defaultdict(list)
    for drop in drops:
        dropped[drop.sha256].append(drop)
    for sha256, alike in dropped.items():
        _compare(place, alike, seen.pop(sha256, []), account)
    for strangers in seen.values():
        for stranger in strangers:
            if not stranger.faults:
                account.note(f"{stranger.path}: nobody dropped this", "wrong")
    _look_for_remains(place, len(drops), account)
    return account


def _compare(place: Place, alike: list[Drop], seen: list[Seen], account: Account) -> None:
    """Compare the files of one content with its results."""
    if len(seen) < len(alike):
        account.note(f"{alike[0].name} ({alike[0].sort})", "lost", len(alike) - len(seen))
    if len(seen) > len(alike):
        paths = ", ".join(each.path for each in seen)
        account.note(f"{alike[0].name} ({alike[0].sort}): {paths}", "twice", len(seen) - len(alike))
    for result in seen:
        if (result.state == "done") != alike[0].is_good:
            worn_by = _worn_by(place, result.job) if alike[0].is_good else ""
            note = worn_by or f"{result.path} is {result.state}, a {alike[0].sort}"
            account.note(note, "worn" if worn_by else "wrong")
        elif alike[0].sort in ("text", "large") and result.outputs != (result.sha256,):
            account.note(f"{result.path}: its text is not the original's", "wrong")
    sidecars = Counter(drop.sidecar for drop in alike)
    if len(seen) == len(alike) and Counter(result.sidecar for result in seen) != sidecars:
        account.note(f"{alike[0].name}: the sidecar is not with its file", "lost")


def _worn_by(place: Place, job: str) -> str:
    """Return how the attempts of a job ended that had as many crashes of the daemon in a row, or failures of its own,
    as the retry rules allow; "" if it had fewer."""
    query = f"SELECT outcome FROM attempts WHERE job = '{job}' ORDER BY attempt"
    outcomes = [row["outcome"] for row in place.rows(query)]
    interrupted = 0
    while interrupted < len(outcomes) and outcomes[-1 - interrupted] == "interrupted":
        interrupted += 1
    blamed = sum(outcome in ("crashed", "timeout") for outcome in outcomes)
    if interrupted >= retry.MAX_INTERRUPTIONS or blamed >= place.settings().retry.attempts:
        return ", ".join(map(str, outcomes))
    return ""


def _look_for_remains(place: Place, files: int, account: Account) -> None:
    for folder in (place.inbox, place.outbox / ".staging"):
        for path in folder.rglob("*"):
            if path.is_file() and path not in (place.inbox / ".taken" / ".lock", place.outbox / ".staging" / ".lock"):
                account.note(str(path), "stuck")
    for row in place.rows("SELECT * FROM job_log WHERE state NOT IN ('done', 'failed')"):
        account.note(f"{row['file']} is {row['state']}", "stuck")
    if (rows := place.rows("SELECT count(*) AS count FROM jobs")) != [{"count": files}]:
        account.note(f"{files} files were dropped, the job log has {rows}", "wrong")
    verified = place.inboxd("verify", check=None)
    if verified.returncode:
        account.note(f"inboxd verify: {verified.stdout}{verified.stderr}", "wrong")
