"""The errors that end a command or prevent a start: each says what to do next and has its exit code.

Exit codes follow sysexits(3), so that scripts and systemd can tell them apart.
"""

import os


class InboxdError(Exception):
    """Base of all errors shown to the operator: `what` went wrong, and what to do next (`fix`)."""

    exit_code = os.EX_SOFTWARE

    def __init__(self, what: str, fix: str = ""):
        super().__init__(f"{what}\n{fix}" if fix else what)
        self.what = what
        self.fix = fix


class UsageError(InboxdError):
    """The command line names something that does not exist."""

    exit_code = os.EX_USAGE


class NoJobLog(UsageError):
    """inboxd has not run with these settings yet."""

    exit_code = os.EX_UNAVAILABLE


class ConfigError(InboxdError):
    """config.toml cannot be used."""

    exit_code = os.EX_CONFIG


class SetupError(InboxdError):
    """A folder, the access token or the service cannot be used (inbox inside outbox, no permission …)."""

    exit_code = os.EX_CONFIG


class AlreadyRunning(InboxdError):
    """Another daemon has locked one of the folders."""

    exit_code = os.EX_TEMPFAIL


class NotRunning(InboxdError):
    """The command needs the daemon, which does not answer."""

    exit_code = os.EX_UNAVAILABLE


class StoreError(InboxdError):
    """jobs.db cannot be used by this inboxd."""

    exit_code = os.EX_DATAERR


class StorageError(InboxdError):
    """A disk is full, read-only, failing or absent: work continues automatically once it is available."""

    exit_code = os.EX_IOERR


class LogLocked(StorageError):
    """Another program has locked the job log."""


class StartOver(InboxdError):
    """Files of the running daemon were replaced (jobs.db, the inbox): it must start again from the folders."""

    exit_code = os.EX_TEMPFAIL


class JobsFailed(InboxdError):
    """The command ran, and some of its jobs failed or wait."""

    exit_code = 1
