"""The architecture of the default model, Qwen3-VL-4B-Instruct, runs end to end: random weights, fewer layers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import qwen3_vl
import tiny_vlm
from PIL import Image

from processors.contract import Finished, Progress, Work
from processors.vlm import AskOptions, Vlm, VlmOptions
from processors.vlm.types import PageAnswer, PageRequest, StopReason

if TYPE_CHECKING:
    from processors.vlm.engine.local import TransformersEngine

pytestmark = pytest.mark.slow

NAME = VlmOptions().model
SCHEMA = {
    "type": "object",
    "properties": {"paid": {"type": "boolean"}, "kind": {"enum": ["invoice", "receipt"]}},
    "required": ["paid", "kind"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models in which the default model is stored, as `inboxd models fetch` stores it."""
    models = tmp_path_factory.mktemp("models")
    qwen3_vl.write_model(models / "vlm" / NAME.replace("/", "--"))
    return models


@pytest.fixture(scope="module")
def loaded(models: Path) -> Vlm:
    vlm = Vlm()
    vlm.load(VlmOptions(device="cpu", threads=1), models, Progress(lambda message: None))
    return vlm


@pytest.fixture
def engine(loaded: Vlm) -> "TransformersEngine":
    return loaded._engine


@pytest.fixture
def run(loaded: Vlm, tmp_path: Path) -> Callable[[AskOptions, Path], tuple[Finished, Work]]:
    def process(options: AskOptions, source: Path) -> tuple[Finished, Work]:
        work = tiny_vlm.a_work(source, tmp_path, options)
        [(_, outcome)] = loaded.process([work], Progress(lambda message: None))
        assert isinstance(outcome, Finished), outcome
        return outcome, work

    return process


def answered(engine: "TransformersEngine", requests: list[PageRequest]) -> list[PageAnswer]:
    return engine.answer(requests, lambda: None)


def a_request(name: str, prompt: str = "Read.", tokens: int = 24) -> PageRequest:
    return PageRequest(image=tiny_vlm.drawing(name), prompt=prompt, token_limit=tokens)


def test_the_default_model_is_the_one_of_this_architecture(models: Path):
    assert NAME == "Qwen/Qwen3-VL-4B-Instruct"
    assert Vlm.estimate_memory(VlmOptions(device="cpu"), models) > 0


def test_a_page_is_read(run, tmp_path: Path):
    """Random weights write no words: what counts is that the page passes through, and that the review reports it."""
    finished, work = run(AskOptions(task="read", max_new_tokens=24), tiny_vlm.DRAWINGS / "line.png")
    assert finished.pages == 1
    assert finished.review
    assert all((work.outputs / name).stat().st_size for name in finished.files)


def test_answers_follow_a_schema(run):
    options = AskOptions(task="extract", prompt="What is it?", json_schema=SCHEMA, min_token_probability=0)
    finished, work = run(options, tiny_vlm.DRAWINGS / "statement-two.png")
    found = json.loads((work.outputs / finished.files[0]).read_text(encoding="utf-8"))
    found = found[0] if isinstance(found, list) else found
    assert isinstance(found["paid"], bool)
    assert found["kind"] in ("invoice", "receipt")


def test_a_batch_answers_as_each_page_alone(engine: "TransformersEngine"):
    """Pages of different sizes and prompts of different lengths: padding and the positions of pixels are right."""
    requests = [a_request("line"), a_request("statement-four", "Read everything."), a_request("shapes-two")]
    together = answered(engine, requests)
    alone = [answered(engine, [request])[0] for request in requests]
    assert [each.text for each in together] == [each.text for each in alone]
    assert [each.prompt_tokens for each in together] == [each.prompt_tokens for each in alone]


def test_an_answer_depends_on_the_page(engine: "TransformersEngine"):
    """The pixels reach the language model: the token probabilities of two pages of one size differ."""
    white, noise = Image.new("RGB", (256, 256), "white"), tiny_vlm.noise(256, 256)
    answers = answered(engine, [PageRequest(image=each, prompt="Read.", token_limit=8) for each in (white, noise)])
    assert len({(each.text, each.lowest_token_probability) for each in answers}) == 2


@pytest.mark.parametrize("size", [(3000, 2000), (50, 40), (61, 4000), (1280, 1000)])
def test_no_page_has_more_pixels_than_are_allowed(size: tuple[int, int], engine: "TransformersEngine"):
    request = PageRequest(image=Image.new("RGB", size, "white"), prompt="Read.", token_limit=1)
    inputs = engine._chat.prepare([request])
    [seen] = engine._chat.sizes_seen(inputs, [request])
    assert seen is not None and seen[0] * seen[1] <= engine.max_pixels_of_money
    assert seen[0] % 32 == seen[1] % 32 == 0  # a token is 2 x 2 patches of 16 pixels


def test_a_text_without_a_page_is_answered(engine: "TransformersEngine"):
    [answer] = answered(engine, [PageRequest(image=None, prompt="Summarize: one two three", token_limit=8)])
    assert answer.tokens >= 1 and answer.stop_reason in (StopReason.STOP, StopReason.LENGTH, StopReason.LOOP)


@pytest.mark.long
def test_layers_of_the_published_width_answer(tmp_path: Path):
    """Two layers as wide as the published ones: 220 million weights, 2 GB of memory."""
    from processors.vlm.engine.local import TransformersEngine

    folder = qwen3_vl.write_model(tmp_path / "wide", narrow=False)
    options = VlmOptions(model=str(folder), device="cpu")
    engine = TransformersEngine.load(options, tmp_path, Progress(lambda message: None))
    [answer] = answered(engine, [a_request("statement-two", tokens=4)])
    assert answer.tokens >= 1
