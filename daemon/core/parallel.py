"""Runs operations that mostly wait for a disk, such as fsync, several at a time.

A journaling file system writes its journal once for all fsyncs that wait for it, so eight of them take little longer
than one. The calling thread waits until all have returned.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

_FEWEST = 4  # operations for which threads are worth waking; tests that number system calls use fewer

threads = 8  # at most
_pools: list[ThreadPoolExecutor] = []  # one, created on first use
os.register_at_fork(after_in_child=_pools.clear)  # the child does not have its threads


def run_all(operations: Sequence[Callable[[], None]]) -> list[OSError | None]:
    """Run independent operations, and return the error of each, in order; None: it succeeded.

    An exception other than OSError is raised once all operations have returned.
    """
    count = min(threads, len(operations) // 2)
    if len(operations) < _FEWEST or count < 2:
        return [_error_of(operation) for operation in operations]
    errors: list[OSError | None] = [None] * len(operations)
    shares = [_start([*operations[first::count]]) for first in range(count)]
    for share in shares:
        share.exception()  # wait for all, whatever happens in one
    for first, share in enumerate(shares):
        errors[first::count] = share.result()
    return errors


def _start(operations: list[Callable[[], None]]) -> Future[list[OSError | None]]:
    """Have a thread run some operations one after the other, or, if none can be started, the calling thread."""
    if not _pools:
        _pools.append(ThreadPoolExecutor(threads, thread_name_prefix="disk"))

    def run() -> list[OSError | None]:
        return [_error_of(operation) for operation in operations]

    try:
        return _pools[0].submit(run)
    except RuntimeError:  # the limit of threads is reached
        done: Future[list[OSError | None]] = Future()
        done.set_result(run())
        return done


def _error_of(operation: Callable[[], None]) -> OSError | None:
    try:
        operation()
    except OSError as error:
        return error
    return None
