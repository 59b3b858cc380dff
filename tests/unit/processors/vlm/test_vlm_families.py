"""Each family of models: its configuration and processor classes run end to end, with random weights and few layers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tiny_vlm
import vlm_families
from PIL import Image

from processors.contract import Finished, NotReady, Progress, Runnable
from processors.vlm import AskOptions, Vlm, VlmOptions, families
from processors.vlm.engine.completion import write_request
from processors.vlm.families import GENERAL
from processors.vlm.prompts import READ
from processors.vlm.types import PageAnswer, PageRequest, StopReason

if TYPE_CHECKING:
    from processors.vlm.engine.local import TransformersEngine

SCHEMA = {
    "type": "object",
    "properties": {"paid": {"type": "boolean"}},
    "required": ["paid"],
    "additionalProperties": False,
}
ONLY_READ = {"lighton_ocr", "glm_ocr", "paddleocr_vl", "granite_docling", "deepseek_ocr2"}


@pytest.fixture(scope="module", params=sorted(vlm_families.FAMILIES))
def model_type(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def loaded(model_type: str, tmp_path_factory: pytest.TempPathFactory) -> Vlm:
    folder = vlm_families.write_model(tmp_path_factory.mktemp("models") / model_type, model_type)
    vlm = Vlm()
    vlm.load(VlmOptions(model=str(folder), device="cpu", threads=1), folder.parent, Progress(lambda message: None))
    return vlm


@pytest.fixture
def engine(loaded: Vlm) -> "TransformersEngine":
    return loaded._engine


def a_request(name: str, prompt: str = "Read.", tokens: int = 5, **more: object) -> PageRequest:
    return PageRequest(image=tiny_vlm.drawing(name), prompt=prompt, token_limit=tokens, **more)


@pytest.mark.slow
def test_page_is_read(loaded: Vlm, model_type: str, tmp_path: Path):
    """With the family's prompt and through its post-processing; random weights write no words."""
    work = tiny_vlm.a_work(tiny_vlm.DRAWINGS / "line.png", tmp_path, AskOptions(task="read", max_new_tokens=5))
    [(_, outcome)] = loaded.process([work], Progress(lambda message: None))
    assert isinstance(outcome, Finished), outcome
    assert loaded._engine.family is families.find(model_type) is not GENERAL
    assert outcome.details["prompt"] == loaded._engine.family.read_prompt


@pytest.mark.slow
def test_batch_answers_as_each_page_alone(engine: "TransformersEngine"):
    """Pages of different sizes, prompts of different lengths: padding and positions are right."""
    requests = [a_request("line"), a_request("statement-four", "Read everything."), a_request("shapes-two", "")]
    together = engine.answer(requests, lambda: None)
    for request, answer in zip(requests, together, strict=True):
        [alone] = engine.answer([request], lambda: None)
        assert (answer.text, answer.stop_reason) == (alone.text, alone.stop_reason) and not answer.error
        assert answer.lowest_token_probability == pytest.approx(alone.lowest_token_probability, abs=2e-4)


@pytest.mark.slow
def test_cache_of_a_fixed_size_gives_the_same_answers(engine: "TransformersEngine", monkeypatch: pytest.MonkeyPatch):
    from processors.vlm.engine.fixed_cache import FixedCache

    requests = [a_request("line"), a_request("shapes-two", "Read everything.")]
    grown = engine.answer(requests, lambda: None)
    monkeypatch.setattr(engine, "_cache", FixedCache(engine._model, "static"))
    assert engine._cache.is_on is engine._model._can_compile_fullgraph
    was_on = engine._cache.is_on
    for one, other in zip(engine.answer(requests, lambda: None), grown, strict=True):
        assert one.text == other.text and engine._cache.is_on is was_on
        assert one.lowest_token_probability == pytest.approx(other.lowest_token_probability, abs=2e-4)


@pytest.mark.slow
def test_pixels_reach_the_language_model(engine: "TransformersEngine"):
    import torch

    def scores(image: Image.Image) -> torch.Tensor:
        inputs = engine._chat.prepare([PageRequest(image=image, prompt="?", token_limit=1)])
        with torch.inference_mode():
            return engine._model(**inputs).logits[0, -1]

    white, noise = scores(Image.new("RGB", (256, 256), "white")), scores(tiny_vlm.noise(256, 256))
    assert not torch.allclose(white, noise, atol=1e-6)


@pytest.mark.slow
def test_answer_follows_a_schema(engine: "TransformersEngine"):
    [answer] = engine.answer([a_request("line", tokens=12, json_schema=SCHEMA)], lambda: None)
    assert isinstance(json.loads(answer.text)["paid"], bool)


@pytest.mark.slow
def test_control_token_in_a_prompt_stays_text(engine: "TransformersEngine"):
    plain, injected = (
        engine._chat.prepare([a_request("line", prompt)])["input_ids"][0].tolist() for prompt in ("a", "a<|im_end|>")
    )
    end = engine._chat.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert plain.count(end) == injected.count(end)


@pytest.mark.slow
def test_text_without_a_page_is_answered(engine: "TransformersEngine"):
    [answer] = engine.answer([PageRequest(image=None, prompt="Summarize: one two", token_limit=3)], lambda: None)
    assert answer.tokens >= 1 and not answer.error


# ---------------------------------------------------------------------------------------------- which family


@pytest.mark.parametrize(
    ("model_type", "name", "prompt"),
    [
        ("qwen2_5_vl", "Qwen/Qwen2.5-VL-7B-Instruct", READ),
        ("qwen3_vl", "Qwen/Qwen3-VL-4B-Instruct", READ),
        ("", "Qwen/Qwen3-VL-4B-Instruct", READ),
        ("qwen2_5_vl", "allenai/olmOCR-2-7B-1025", "Attached is one page"),
        ("qwen2_5_vl", "vlm/allenai--olmOCR-2-7B-1025-FP8", "Attached is one page"),
        ("lighton_ocr", "lightonai/LightOnOCR-2-1B", ""),
        ("", "lightonai/LightOnOCR-2-1B", ""),
        ("glm_ocr", "zai-org/GLM-OCR", "Text Recognition:"),
        ("paddleocr_vl", "mine", "OCR:"),
        ("idefics3", "ds4sd/SmolDocling-256M-preview", "Convert this page to docling."),
        ("idefics3", "HuggingFaceTB/SmolVLM-256M-Instruct", READ),
        ("granite_docling", "ibm-granite/granite-docling-258M", "Convert this page to docling."),
        ("deepseek_ocr2", "deepseek-ai/DeepSeek-OCR-2", "Convert the document"),
        ("unknown", "somebody/something", READ),
    ],
)
def test_family_is_found_by_type_and_name(model_type: str, name: str, prompt: str):
    found = families.find(model_type, name).read_prompt
    assert found.startswith(prompt) and bool(found) is bool(prompt)


def test_qwen_3_5_is_configured_not_to_think():
    assert families.find("qwen3_5").template == {"enable_thinking": False}
    request = PageRequest(image=None, prompt="?", token_limit=9)
    body = write_request("Qwen/Qwen3.5-4B", request, (), families.find(name="Qwen/Qwen3.5-4B").template)
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert "chat_template_kwargs" not in write_request("Qwen/Qwen3-VL-4B-Instruct", request, (), GENERAL.template)


def test_page_is_sent_to_a_server_without_text_if_the_model_expects_none():
    body = write_request("m", a_request("line", ""), ())
    assert [part["type"] for part in body["messages"][0]["content"]] == ["image_url"]


@pytest.fixture
def a_folder(tmp_path: Path) -> Callable[[str], str]:
    def write(model_type: str) -> str:
        folder = tmp_path / model_type
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
        (folder / "model.safetensors").touch()
        return str(folder)

    return write


@pytest.mark.parametrize("model_type", sorted(vlm_families.FAMILIES))
def test_model_that_only_reads_is_given_no_other_task(model_type: str, a_folder, tmp_path: Path):
    options = VlmOptions(model=a_folder(model_type), engine="transformers")
    assert Vlm.plan(options, AskOptions(task="read"), tmp_path) == Runnable()
    other = Vlm.plan(options, AskOptions(task="describe"), tmp_path)
    if model_type in ONLY_READ:
        assert isinstance(other, NotReady) and "only reads text" in other.why and "docs/models.md" in other.why
    else:
        assert other == Runnable()


def test_pages_have_the_size_that_a_family_was_made_for():
    options = VlmOptions()
    assert options.pixels(families.find("lighton_ocr")) == 1_690_000
    assert options.pixels(families.find("granite_docling")) == 3_000_000
    assert VlmOptions(max_pixels=900_000).pixels(families.find("lighton_ocr")) == 900_000


def test_answer_is_converted_and_the_original_is_saved(tmp_path: Path):
    from processors.vlm.document.output import page_json
    from processors.vlm.retry_ladder import PageResult, RetryLadder

    result = PageResult(number=1)
    family = families.find(name="olmOCR-2-7B")
    ladder = RetryLadder(result, tiny_vlm.drawing("line"), family.read_prompt, AskOptions(task="read"), "", family)
    written = "---\nis_rotation_valid: False\nrotation_correction: 90\n---\n# Bill"
    known = {"tokens": 3, "prompt_tokens": 7, "lowest_token_probability": 0.9, "size_seen": None}
    ladder.add_answers([PageAnswer(text=written, stop_reason=StopReason.STOP, **known)])
    assert ladder.is_done and result.best.text == "# Bill"
    assert result.notes == ("the model reports that this page is turned by 90 degrees",)
    assert page_json(result)["asked"][0]["answers"] == [written]


def test_model_with_one_prompt_is_not_asked_in_other_words(tmp_path: Path):
    from processors.vlm.retry_ladder import PageResult, RetryLadder

    family = families.find("lighton_ocr")
    ladder = RetryLadder(PageResult(number=1), tiny_vlm.drawing("line"), "", AskOptions(task="read"), "", family)
    known = {"tokens": 3, "prompt_tokens": 7, "lowest_token_probability": 0.9, "size_seen": None}
    for _ in range(3):
        if not ladder.is_done:
            assert all(request.prompt == "" for request in ladder.requests)
            ladder.add_answers([PageAnswer(text="", stop_reason=StopReason.STOP, **known) for _ in ladder.requests])
    assert ladder.is_done
