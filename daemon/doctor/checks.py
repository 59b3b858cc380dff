"""`inboxd doctor`: is everything as the service needs it? Each check stands alone: one that breaks is a line, too.

Looks only; the few files it writes to try the disks out are removed again. Works with no daemon, with a config.toml
that is wrong, and for a user who may see only a part. What is looked at is in `premises` (folders, disks, limits),
`machine` (memory, GPU, models) and `standing` (the job log, the daemon, the service).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from daemon import config
from daemon.config.settings import Settings
from daemon.core.errors import ConfigError, InboxdError
from daemon.doctor import host, models, runtime
from daemon.doctor.finding import FAIL, OK, WARN, Findings
from daemon.doctor.installation import Installation, installation_of


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line: what was looked at, what came out ("ok", "warn", "FAIL"), and the command or change that mends it."""

    what: str
    verdict: str
    found: str
    fix: str = ""


def run_all(source: Path | None) -> Iterator[Check]:
    """All checks of the daemon that `source`, a config.toml, is for; None: there is none."""
    installation = installation_of(source)
    settings = None
    try:
        settings = config.load(source) if source else None
        yield from _lines("config", lambda: _config(settings))
    except ConfigError as error:
        yield Check(what="config", verdict=FAIL, found=error.what, fix=error.fix)
    sound, paths = settings is not None, settings or _salvage(source)
    checks = {**_OF_PATHS, **(_OF_SETTINGS if sound else {})} if paths else {}
    for what, check in checks.items():
        yield from _lines(what, lambda check=check: check(paths, installation))
    for what, look in _OF_MACHINE.items():
        yield from _lines(what, lambda look=look: look(installation))
    left_out = (() if paths else tuple(_OF_PATHS)) + (() if sound else tuple(_OF_SETTINGS))
    if left_out:
        found = f"not looked at without a right config.toml: {', '.join(left_out)}"
        yield Check(what="rest", verdict=WARN, found=found, fix="Mend config.toml, and ask again.")


def _lines(what: str, check: Callable[[], Findings]) -> Iterator[Check]:
    try:
        for verdict, found, fix in check():
            yield Check(what=what, verdict=verdict, found=found, fix=fix)
    except Exception as error:  # a border like that around one job: a check that breaks must not hide the others
        found = error.what if isinstance(error, InboxdError) else str(error) or repr(error)
        fix = getattr(error, "fix", "") or "Ask as root, or as the user that inboxd runs as."
        yield Check(what=what, verdict=WARN, found=f"cannot be told: {found}", fix=fix)


def _config(settings: Settings | None) -> Findings:
    if settings is None:
        yield (
            FAIL,
            "there is no config.toml in this folder, nor in ~/.config/inboxd or /etc/inboxd",
            "Name it with --config FILE or INBOXD_CONFIG; an empty file is a valid one. Or: inboxd install",
        )
        return
    yield OK, f"{settings.source}: no mistakes", ""
    bound = {recipe for folder in settings.folders.values() for recipe in folder.recipes.values()}
    if bound:
        yield OK, f"recipes in use: {', '.join(sorted(bound))}", ""
    else:
        yield WARN, "no recipe is bound to any folder: every drop would fail", 'Under [inbox], say: image = "read"'


def _salvage(source: Path | None) -> Settings | None:
    """The paths of a config.toml that is wrong elsewhere: its folders and its daemon can still be looked at."""
    if source is None:
        return None
    try:
        paths = config.read(source).get("paths", {})
        return config.parse({"paths": paths}, source=source, home=source.resolve().parent)
    except ConfigError:
        return None


_Check = Callable[[Settings, Installation | None], Findings]
_OF_PATHS: Mapping[str, _Check] = {
    "folders": host.folders,
    "space": host.space,
    "promises": host.promises,
    "inotify": host.inotify,
    "clock": host.clock,
    "job log": runtime.job_log,
    "daemon": runtime.daemon,
    "failures": runtime.failures,
}
_OF_SETTINGS: Mapping[str, _Check] = {
    "models": models.models,
    "memory": models.memory,
    "GPU": models.gpus,
}
_OF_MACHINE: Mapping[str, Callable[[Installation | None], Findings]] = {
    "service": runtime.service,
    "journal": runtime.journal,
}
