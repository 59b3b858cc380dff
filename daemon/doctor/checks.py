"""`inboxd doctor`: runs all checks. They are independent: one that breaks is reported, and the others still run.

Changes nothing; the few files that test the disks are removed again. Works without a daemon, with a wrong
config.toml, and for a user who may see only a part. The checks are in `host` (folders, disks, limits), `models`,
`memory`, `gpus`, `cluster`, `hooks` and `runtime` (job log, daemon, service).
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from daemon import config
from daemon.config.settings import Settings
from daemon.core.errors import ConfigError, InboxdError
from daemon.doctor import cluster, gpus, hooks, host, memory, models, runtime
from daemon.doctor.finding import FAIL, OK, WARN, Findings
from daemon.doctor.installation import Installation, installation_of


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the report: the subject, the verdict ("ok", "warn", "FAIL"), the finding and how to fix it."""

    what: str
    verdict: str
    found: str
    fix: str = ""


def run_all(source: Path | None) -> Iterator[Check]:
    """Run all checks on the daemon of `source`, its config.toml; None: there is none."""
    installation = installation_of(source)
    settings = None
    try:
        loaded = settings = config.load(source)
        yield from _lines("config", lambda: _config(loaded))
    except ConfigError as error:
        yield Check(what="config", verdict=FAIL, found=error.what, fix=error.fix)
    is_valid, paths = settings is not None, settings or _paths_of(source)
    if paths is not None:
        for what, check in {**_OF_PATHS, **(_OF_SETTINGS if is_valid else {})}.items():
            yield from _lines(what, functools.partial(check, paths, installation))
    for what, check_service in _OF_SERVICE.items():
        yield from _lines(what, functools.partial(check_service, installation))
    skipped = (() if paths else tuple(_OF_PATHS)) + (() if is_valid else tuple(_OF_SETTINGS))
    if skipped:
        found = f"not checked without a valid config.toml: {', '.join(skipped)}"
        yield Check(what="skipped", verdict=WARN, found=found, fix="Correct config.toml, then run doctor again.")


def _lines(what: str, check: Callable[[], Findings]) -> Iterator[Check]:
    try:
        for verdict, found, fix in check():
            yield Check(what=what, verdict=verdict, found=found, fix=fix)
    except Exception as error:  # error boundary: a check that breaks must not hide the others
        found = error.what if isinstance(error, InboxdError) else str(error) or repr(error)
        fix = getattr(error, "fix", "") or "Run doctor as root, or as the user that inboxd runs as."
        yield Check(what=what, verdict=WARN, found=f"cannot be checked: {found}", fix=fix)


def _config(settings: Settings) -> Findings:
    if settings.source is None:
        home = settings.state.parent
        yield OK, f"no config.toml: the defaults apply, with the folders in {home} (`inboxd init` writes one)", ""
    else:
        yield OK, f"{settings.source}: no errors", ""
    bound = {recipe for folder in settings.folders.values() for recipe in folder.recipes.values()}
    if bound:
        yield OK, f"recipes in use: {', '.join(sorted(bound))}", ""
    else:
        yield (
            WARN,
            "no folder has a recipe, so inboxd would process no file",
            'Set one under [inbox], such as: image = "read"',
        )


def _paths_of(source: Path | None) -> Settings | None:
    """The paths of a config.toml that is wrong elsewhere: its folders and its daemon can still be checked."""
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
    "storage": host.storage,
    "inotify": host.inotify,
    "clock": host.clock,
    "job log": runtime.job_log,
    "daemon": runtime.daemon,
    "failures": runtime.failures,
}
_OF_SETTINGS: Mapping[str, _Check] = {
    "models": models.models,
    "OCR": models.scripts,
    "memory": memory.memory,
    "GPU": gpus.gpus,
    "cluster": cluster.cluster,
    "hooks": hooks.hooks,
}
_OF_SERVICE: Mapping[str, Callable[[Installation | None], Findings]] = {
    "service": runtime.service,
    "journal": runtime.journal,
}
