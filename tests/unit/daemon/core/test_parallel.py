"""Operations on a disk that run several at a time."""

import os
import threading

import pytest

from daemon.core import parallel


def _fail(number: int) -> None:
    raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("count", [0, 1, 3, 4, 9, 40])
def test_each_operation_runs_once_and_errors_keep_their_places(count: int):
    ran: list[int] = []

    def operation(number: int) -> None:
        ran.append(number)
        if number % 3 == 1:
            _fail(5)

    errors = parallel.run_all([lambda number=number: operation(number) for number in range(count)])
    assert sorted(ran) == list(range(count))
    assert [error is not None for error in errors] == [number % 3 == 1 for number in range(count)]


def test_all_have_returned_before_an_unexpected_error_is_raised():
    ran: list[int] = []

    def operation(number: int) -> None:
        if number == 0:
            raise ValueError("a mistake")
        ran.append(number)

    with pytest.raises(ValueError, match="a mistake"):
        parallel.run_all([lambda number=number: operation(number) for number in range(16)])
    assert sorted(ran) == [number for number in range(16) if number % 8], "those behind it in its thread are skipped"


def test_eight_wait_at_the_same_time():
    meeting = threading.Barrier(8, timeout=10)
    assert parallel.run_all([lambda: meeting.wait() and None] * 16) == [None] * 16


def test_many_operations_are_shared_among_eight_threads(monkeypatch: pytest.MonkeyPatch):
    shares: list[int] = []
    real = parallel._start
    monkeypatch.setattr(parallel, "_start", lambda share: (shares.append(len(share)), real(share))[1])
    parallel.run_all([lambda: None] * 200)
    assert shares == [25] * 8


def test_few_operations_stay_in_the_calling_thread():
    threads: list[int] = []
    parallel.run_all([lambda: threads.append(threading.get_ident())] * 3)
    assert set(threads) == {threading.get_ident()}


def test_operations_run_even_if_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(parallel.ThreadPoolExecutor, "submit", refuse)
    threads: list[int] = []
    errors = parallel.run_all([lambda: threads.append(threading.get_ident())] * 8)
    assert errors == [None] * 8 and set(threads) == {threading.get_ident()}


def test_forked_process_starts_threads_of_its_own():
    parallel.run_all([lambda: None] * 8)
    child = os.fork()
    if child == 0:
        os._exit(0 if parallel.run_all([lambda: None] * 8) == [None] * 8 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
