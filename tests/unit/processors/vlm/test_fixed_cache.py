"""`cache = "static"`: the same answers as with the cache that grows, a step that can be compiled, and the way back."""

import logging
from typing import TYPE_CHECKING

import pytest
import tiny_vlm

from processors.contract import Progress
from processors.vlm import VlmOptions
from processors.vlm.types import PageAnswer, PageRequest

if TYPE_CHECKING:
    from processors.vlm.engine.local import TransformersEngine

pytestmark = pytest.mark.slow
NAMES = ("line", "statement-one")  # of different sizes: the shorter one is padded


@pytest.fixture
def engine() -> "TransformersEngine":
    from processors.vlm.engine.local import TransformersEngine

    options = VlmOptions(model=str(tiny_vlm.TINY), device="cpu", threads=1, cache="static")
    return TransformersEngine.load(options, tiny_vlm.TINY.parent, Progress(lambda message: None))


def answers(engine: "TransformersEngine") -> list[PageAnswer]:
    asked = [
        PageRequest(image=tiny_vlm.drawing(name), prompt=tiny_vlm.ANSWERS[f"{name}.png"]["prompt"], token_limit=300)
        for name in NAMES
    ]
    return engine.answer(asked, lambda: None)


def is_right(found: list[PageAnswer]) -> bool:
    return [answer.text for answer in found] == [tiny_vlm.answer(name) for name in NAMES]


def test_answers_are_those_of_the_cache_that_grows(engine: "TransformersEngine"):
    assert engine._cache.is_on and engine.made_by["cache"] == "static"
    fixed = answers(engine)
    assert is_right(fixed) and engine._cache.is_on
    engine._cache.is_on = False
    for one, other in zip(fixed, answers(engine), strict=True):
        assert one.lowest_token_probability == pytest.approx(other.lowest_token_probability, abs=1e-4)


def test_step_is_compiled_as_one_graph(engine: "TransformersEngine"):
    """A GPU would compile it with a C compiler; the graph is the same."""
    from transformers.generation import CompileConfig

    compiled = CompileConfig(fullgraph=True, mode=None, backend="eager")
    compiled._compile_all_devices = True
    engine._model.generation_config.compile_config = compiled
    assert is_right(answers(engine)) and engine._cache.is_on
    assert engine._model._last_compile_config == compiled, "it was compiled"


def test_failure_to_compile_is_logged_and_the_same_batch_is_answered(
    engine: "TransformersEngine", caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    def fail(*arguments: object, **named: object) -> None:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

    from processors.vlm.engine import fixed_cache

    monkeypatch.setattr(fixed_cache, "StaticCache", fail)
    with caplog.at_level(logging.WARNING):
        assert is_right(answers(engine))
    assert not engine._cache.is_on
    [record] = caplog.records
    assert "decoding is slower" in record.getMessage() and "not permitted" in record.getMessage()


def test_few_lengths_are_compiled():
    from processors.vlm.engine.fixed_cache import cache_length

    assert [cache_length(tokens) for tokens in (1, 1024, 1025, 9000)] == [1024, 1024, 2048, 9216]
