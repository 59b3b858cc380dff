"""The errors that end a command or refuse a start: each says what to do next and carries its exit code.

Exit codes follow sysexits(3), so that scripts and systemd can tell them apart.
"""

import os


class InboxdError(Exception):
    """Base of all errors shown to the operator: `what` went wrong, and `fix`, what to do next."""

    exit_code = os.EX_SOFTWARE

    def __init__(self, what: str, fix: str = ""):
        super().__init__(f"{what}\n{fix}" if fix else what)
        self.what = what
        self.fix = fix


class UsageError(InboxdError):
    """The command line asks for something that is not there."""

    exit_code = os.EX_USAGE


class ConfigError(InboxdError):
    """config.toml cannot be used."""

    exit_code = os.EX_CONFIG


class LayoutError(InboxdError):
    """The folders cannot keep the promises (inbox inside outbox, two file systems, no permission …)."""

    exit_code = os.EX_CONFIG


class AlreadyRunning(InboxdError):
    """Another daemon holds the lock of this state folder."""

    exit_code = os.EX_TEMPFAIL


class NotRunning(InboxdError):
    """The command needs the daemon, and none answers."""

    exit_code = os.EX_UNAVAILABLE


class StoreError(InboxdError):
    """jobs.db cannot be used by this inboxd."""

    exit_code = os.EX_DATAERR


class StorageError(InboxdError):
    """A disk is full, read-only, failing or away: what waits for it goes on by itself once that is over."""

    exit_code = os.EX_IOERR


class LogLocked(StorageError):
    """Another program holds the job log locked."""


class StartOver(InboxdError):
    """What the daemon works on was replaced under it (jobs.db, the inbox): only a start from the folders is safe."""

    exit_code = os.EX_TEMPFAIL


class JobsFailed(InboxdError):
    """The command ran, and some of its jobs failed or wait."""

    exit_code = 1
