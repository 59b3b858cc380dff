"""Simulated kills and disk errors at the n-th durable call or commit from now, in this process."""

import errno
import os
from collections.abc import Callable
from typing import Any

from daemon.core import copies, durable
from daemon.queue.database import _Transaction

_CALLS = {
    **dict.fromkeys(("rename_noreplace", "fsync_folder", "write_file", "write_unsynced", "fsync_and_close"), durable),
    **dict.fromkeys(("remove_tree", "make_folder"), durable),
    "link_or_copy": copies,
}
_REAL = {name: getattr(module, name) for name, module in _CALLS.items()}
_REAL_COMMIT = _Transaction.__exit__


class Died(BaseException):
    """The process is killed: no `except Exception` may catch this."""


class Fuse:
    """Counts down by one at each durable call and commit; at zero, it kills, or makes calls fail."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.failures = 0  # number of calls in a row that fail; 0: it kills
        self.burnt = 0  # fuses that reached zero
        for name, module in _CALLS.items():
            setattr(module, name, self._wrap(_REAL[name]))
        fuse = self

        def commit(transaction: _Transaction, *error: Any) -> None:
            if error == (None, None, None):
                try:
                    fuse.burn()
                except BaseException as failure:
                    _REAL_COMMIT(transaction, type(failure), failure, None)  # rolls back
                    raise
            _REAL_COMMIT(transaction, *error)
            if error == (None, None, None) and fuse.failures == 0:
                fuse.burn()

        _Transaction.__exit__ = commit

    def light(self, left: int, failures: int = 0) -> None:
        self.left, self.failures = left, failures

    def put_out(self) -> None:
        self.left, self.failures = None, 0

    def burn(self) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left > 0:
            return
        self.burnt += 1
        if self.failures == 0:
            self.put_out()
            raise Died
        self.failures -= 1
        if self.failures == 0:
            self.put_out()
        else:
            self.left = 1
        raise OSError(errno.EIO, "an injected error")

    def remove(self) -> None:
        for name, module in _CALLS.items():
            setattr(module, name, _REAL[name])
        _Transaction.__exit__ = _REAL_COMMIT

    def _wrap(self, call: Callable) -> Callable:
        def wrapped(*arguments: Any, **keywords: Any) -> Any:
            try:
                self.burn()
            except BaseException:
                if call is _REAL["fsync_and_close"]:
                    os.close(*arguments)
                raise
            result = call(*arguments, **keywords)
            if self.failures == 0:
                self.burn()
            return result

        return wrapped
