import threading

import httpx2
import pytest

from processors.remote.endpoints import Endpoint, Endpoints


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def endpoints(clock: Clock, count: int, slots: int | None = None) -> Endpoints:
    return Endpoints(
        [Endpoint(f"http://{each}/v1", httpx2.Client(verify=False), slots) for each in range(count)], clock
    )


def url(made: Endpoints, *without: int) -> str | None:
    with made.next(without={made.all[each] for each in without}) as endpoint:
        return endpoint.url[7] if endpoint else None


def test_least_busy_server_is_next(clock):
    made = endpoints(clock, 3)
    with made.next() as first, made.next() as second, made.next() as third:
        assert [first, second, third] == list(made.all)
    with made.next(), made.next():
        assert url(made) == "2"
    assert [endpoint.running for endpoint in made.all] == [0, 0, 0]


def test_slot_is_released_after_an_error(clock):
    made = endpoints(clock, 1, slots=1)
    with pytest.raises(KeyError), made.next():
        raise KeyError
    assert url(made) == "0"


def test_server_that_failed_rests_and_returns(clock):
    made = endpoints(clock, 2)
    made.failed(made.all[0])
    with made.next(), made.next():
        assert url(made) == "1", "busy, but it works"
    clock.seconds += 5
    assert url(made) == "0"


def test_rest_grows_with_each_failure_and_ends_with_an_answer(clock):
    made = endpoints(clock, 2)
    rests = []
    for _ in range(6):
        made.failed(made.all[0])
        rests.append(made.all[0].rests_until - clock.seconds)
    assert rests == [5, 10, 20, 40, 60, 60]
    made.answered(made.all[0])
    assert url(made) == "0"
    made.failed(made.all[0])
    assert made.all[0].rests_until - clock.seconds == 5


def test_server_rests_for_as_long_as_it_asks_for(clock):
    made = endpoints(clock, 2)
    made.failed(made.all[0], 30)
    clock.seconds += 29
    assert url(made) == "1"
    clock.seconds += 1
    assert url(made) == "0"


def test_server_that_is_ready_first_is_next_if_all_rest(clock):
    made = endpoints(clock, 2)
    made.failed(made.all[0], 30)
    made.failed(made.all[1], 20)
    assert url(made) == "1"
    assert url(made, 1) == "0"
    assert url(made, 0, 1) is None


def test_request_waits_for_a_free_slot_of_a_server_that_works(clock):
    made = endpoints(clock, 2, slots=1)
    made.failed(made.all[1])
    found = []
    with made.next() as endpoint:
        waiting = threading.Thread(target=lambda: found.append(url(made)))
        waiting.start()
        assert endpoint is made.all[0] and not found
    waiting.join(10)
    assert found == ["0"]
