"""Pages are decoded while the model answers, and asked about again together with the next ones."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tiny_vlm import Asked, a_work, drawing

from processors.contract import Failed, FailureKind, Progress, Unavailable, WorkProgress
from processors.vlm import AskOptions
from processors.vlm.document import job as jobs
from processors.vlm.document.ahead import Ahead
from processors.vlm.document.batch import PageBatcher
from processors.vlm.families import GENERAL
from processors.vlm.types import PageAnswer, PageRequest, StopReason

DEADLINE_SECONDS = 20


class Model:
    """An engine that answers at once, after it called `meanwhile`."""

    max_pixels = max_pixels_of_money = 10**6
    device_name, made_by, family = "nowhere", {"model": "fake"}, GENERAL

    def __init__(self, pages_at_once: int, is_concurrent: bool = False, meanwhile: Callable[[], None] = lambda: None):
        self.pages_at_once, self.is_concurrent, self._meanwhile = pages_at_once, is_concurrent, meanwhile
        self.asked: list[list[str]] = []  # prompts, by batch
        self.bad: list[str] = []  # the next answers, instead of good ones

    def answer(self, requests: Sequence[PageRequest], heartbeat: Callable[[], None]) -> list[PageAnswer]:
        self.asked.append([request.prompt for request in requests])
        self._meanwhile()
        heartbeat()
        return [self._answer() for _ in requests]

    def answer_one(self, request: PageRequest) -> PageAnswer:
        return self.answer([request], lambda: None)[0]

    def _answer(self) -> PageAnswer:
        text = self.bad.pop(0) if self.bad else "A line."
        known = {"tokens": 3, "prompt_tokens": 7, "lowest_token_probability": 0.9, "size_seen": None}
        return PageAnswer(text=text, stop_reason=StopReason.STOP, **known)

    def close(self) -> None:
        pass


@pytest.fixture
def pages(tmp_path: Path) -> Callable[[int], Path]:
    def write(count: int) -> Path:
        first, *rest = [drawing("line")] * count
        first.save(tmp_path / "pages.tiff", save_all=True, append_images=rest)
        return tmp_path / "pages.tiff"

    return write


class Decoded:
    """How many pages are decoded so far."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.count, self._changed = 0, threading.Condition()
        real = jobs.VlmJob._describe

        def describe(*arguments: object) -> None:
            real(*arguments)
            with self._changed:
                self.count += 1
                self._changed.notify_all()

        monkeypatch.setattr(jobs.VlmJob, "_describe", describe)

    def wait_for(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.count >= count, DEADLINE_SECONDS)


def outcomes(model: Model, folder: Path, *sources: Path, **options: object) -> list[Asked]:
    works = [a_work(source, folder, AskOptions(**{"prompt": "What?", **options})) for source in sources]
    reports: list[WorkProgress] = []
    found = {work.job: outcome for work, outcome in PageBatcher(model, Progress(reports.append)).outcomes(works)}
    return [Asked(found[work.job], work, reports) for work in works]


@pytest.mark.parametrize("is_concurrent", [False, True])
def test_next_pages_are_decoded_while_the_model_answers(is_concurrent, pages, tmp_path, monkeypatch):
    decoded = Decoded(monkeypatch)
    in_time: list[bool] = []
    model = Model(2, is_concurrent, lambda: in_time.append(decoded.wait_for(min(6, 2 + 2 * len(model.asked)))))
    (asked,) = outcomes(model, tmp_path, pages(6))
    assert all(in_time) and len(asked.pages) == 6


def test_decoded_pages_are_few_at_any_time(pages, tmp_path, monkeypatch):
    decoded = Decoded(monkeypatch)
    most: list[int] = []
    model = Model(1, False, lambda: most.append(decoded.count - len(model.asked)))
    outcomes(model, tmp_path, pages(12))
    assert max(most) <= 3


def test_page_that_is_asked_about_again_shares_the_batch_of_the_next_pages(pages, tmp_path):
    model = Model(3)
    model.bad = ["I'm sorry, I cannot help with that."]
    (asked,) = outcomes(model, tmp_path, pages(5))
    assert [len(batch) for batch in model.asked] == [3, 3]
    assert len(asked.pages) == 5 and "answered only on a retry" in asked.review


@pytest.mark.parametrize("is_concurrent", [False, True])
def test_files_of_a_batch_finish_with_their_own_results(is_concurrent, pages, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    drawing("shapes-one").save(tmp_path / "one.png")
    broken, one, five = outcomes(
        Model(2, is_concurrent), tmp_path, tmp_path / "broken.png", tmp_path / "one.png", pages(5)
    )
    assert broken.failed.kind is FailureKind.BAD_INPUT
    assert (len(one.pages), len(five.pages)) == (1, 5)
    assert five.reports[-1].done == five.reports[-1].total == 5


@pytest.mark.parametrize("is_concurrent", [False, True])
def test_summaries_are_asked_for_once_the_pages_are_answered(is_concurrent, pages, tmp_path):
    (asked,) = outcomes(Model(2, is_concurrent), tmp_path, pages(3), task="summarize", prompt=None)
    assert asked.text == "A line."


@pytest.mark.parametrize("is_concurrent", [False, True])
def test_unavailable_engine_ends_the_batch_and_the_thread(is_concurrent, pages, tmp_path):
    def fail() -> None:
        raise Unavailable("gone")

    before = threading.active_count()
    with pytest.raises(Unavailable, match="gone"):
        outcomes(Model(2, is_concurrent, fail), tmp_path, pages(9))
    assert threading.active_count() == before


@pytest.mark.parametrize("is_concurrent", [False, True])
def test_error_of_the_decoding_thread_is_raised(is_concurrent, pages, tmp_path, monkeypatch):
    def read(*arguments: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr("processors.pages.open_pages", read)
    with pytest.raises(MemoryError):
        outcomes(Model(2, is_concurrent), tmp_path, pages(2))


def test_unreadable_files_do_not_fail_the_batch(tmp_path):
    (lost,) = outcomes(Model(2), tmp_path, tmp_path / "gone.png")
    assert isinstance(lost.outcome, Failed)


def test_progress_of_the_decoding_thread_is_reported_by_the_main_thread(tmp_path, pages):
    threads: set[str] = set()
    work = a_work(pages(3), tmp_path, AskOptions(prompt="What?"))
    progress = Progress(lambda report: threads.add(threading.current_thread().name))
    list(PageBatcher(Model(1), progress).outcomes([work]))
    assert threads == {threading.main_thread().name}


# ---------------------------------------------------------------------------------------------- the thread


def test_items_keep_their_order_and_no_more_than_the_limit_wait():
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(9):
            made.append(number)
            yield number

    ahead = Ahead(numbers(), 2)
    assert ahead.take(1, wait=True) == [0] and len(made) <= 4
    assert ahead.take(5, wait=True) == [1, 2, 3, 4, 5]
    assert ahead.take(9, wait=True) == [6, 7, 8] and ahead.take(1, wait=True) == [] and ahead.is_empty
    ahead.close()


def test_generator_is_closed_by_the_thread_that_ran_it():
    threads: list[threading.Thread] = []

    def endless() -> Iterator[int]:
        threads.append(threading.current_thread())
        try:
            while True:
                yield 1
        finally:
            threads.append(threading.current_thread())

    ahead = Ahead(endless(), 1)
    ahead.take(1, wait=True)
    ahead.close()
    assert threads[0] is threads[1] is not threading.main_thread()
