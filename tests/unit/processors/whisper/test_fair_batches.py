"""The windows of several files share batches fairly, and a failure stays with its own file."""

import pytest

from processors.whisper.engines.fair_batches import FairBatches
from processors.whisper.track import interleaving


def decoded(requests: dict[int, list[str]], limit: int = 4) -> tuple[list[list[str]], list[int]]:
    """Windows "KIND:NAME": the batches in which they are decoded, and the requests in the order of their answers."""
    batches, answered, open_requests = [], [], dict(requests)

    def decode(windows):
        batches.append(windows)
        return [window.upper() for window in windows]

    fair = FairBatches(decode, lambda window: window[0], limit)
    while open_requests:
        for number, results in fair.answer(open_requests).items():
            assert results == [window.upper() for window in open_requests.pop(number)]
            answered.append(number)
    return batches, answered


def ask(*requests):
    answers = []
    for windows in requests:
        answers.append((yield windows))
    return answers


def test_short_file_gets_into_the_next_batch_beside_a_long_one():
    batches, answered = decoded({0: [f"a:long{n}" for n in range(8)], 1: ["a:short"]})
    assert batches[0] == ["a:long0", "a:short", "a:long1", "a:long2"]
    assert answered == [1, 0] and len(batches) == 3


def test_long_files_share_the_batches():
    batches, _ = decoded({n: [f"a:{n}{window}" for window in range(4)] for n in (0, 1)})
    assert batches == [["a:00", "a:10", "a:01", "a:11"], ["a:02", "a:12", "a:03", "a:13"]]


def test_windows_of_different_kinds_are_decoded_separately_and_in_turn():
    batches, answered = decoded({0: [f"a:{n}" for n in range(6)], 1: ["b:0"]})
    assert batches == [["a:0", "a:1", "a:2", "a:3"], ["b:0"], ["a:4", "a:5"]]
    assert answered == [1, 0]


def test_empty_request_is_answered():
    assert decoded({0: []}) == ([[]], [0])


def test_windows_that_cannot_be_decoded_fail_only_their_file():
    def decode(windows):
        if "a:bad" in windows:
            raise OverflowError(f"among {len(windows)}")
        return [window.upper() for window in windows]

    fair = FairBatches(decode, lambda window: window[0], 8)
    jobs = [ask(["a:1", "a:2"]), ask(["a:bad", "a:good"]), ask(["a:3"])]
    ended = dict(interleaving.run(jobs, fair.answer))
    assert ended[0] == [["A:1", "A:2"]] and ended[2] == [["A:3"]]
    assert isinstance(ended[1], OverflowError) and str(ended[1]) == "among 2"


def test_files_continue_and_arrive_after_one_has_failed():
    def decode(windows):
        if "a:bad" in windows:
            raise OverflowError
        return windows

    fair = FairBatches(decode, lambda window: window[0], 8)
    coming = [[], [ask(["a:late"])]]
    jobs = [ask(["a:bad"]), ask(["a:1"], ["a:2"])]
    ended = dict(interleaving.run(jobs, fair.answer, lambda: coming.pop(0) if coming else []))
    assert isinstance(ended[0], OverflowError) and ended[1] == [["a:1"], ["a:2"]] and ended[2] == [["a:late"]]


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("CUDA error: device-side assert"), RuntimeError("CUDA error: out of memory")]
)
def test_failure_of_memory_or_device_is_not_charged_to_one_file(error):
    def decode(windows):
        raise error

    fair = FairBatches(decode, lambda window: window[0], 8)
    with pytest.raises(type(error)):
        list(interleaving.run([ask(["a:1"]), ask(["a:2"])], fair.answer))
