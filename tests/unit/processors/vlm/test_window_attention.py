"""Attention to windows in few calls gives what one call for each window gives."""

import copy
from typing import TYPE_CHECKING

import pytest
import torch
import vlm_families
from tiny_vlm import STATEMENT, TINY, answer, drawing

from processors.contract import Progress
from processors.vlm import VlmOptions
from processors.vlm.types import PageRequest

if TYPE_CHECKING:
    from processors.vlm.engine.local import TransformersEngine

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("lengths", [[64] * 5, [64, 64, 16, 64, 4, 16], [7], [1, 2, 3]])
def test_each_window_attends_to_itself(lengths: list[int]):
    from processors.vlm.engine.window_attention import attend

    torch.manual_seed(0)
    query, key, value = torch.randn(3, 1, 4, sum(lengths), 16).unbind()
    ends = torch.tensor([0, *lengths]).cumsum(0)
    found, _ = attend(torch.nn.Identity(), query, key, value, None, scaling=0.25, cu_seq_lens_q=ends, dropout=0.0)
    parts = (each.split(lengths, dim=2) for each in (query, key, value))
    one_by_one = [
        torch.nn.functional.scaled_dot_product_attention(*window, scale=0.25).transpose(1, 2)
        for window in zip(*parts, strict=True)
    ]
    assert found.shape == (1, sum(lengths), 4, 16)
    torch.testing.assert_close(found, torch.cat(one_by_one, dim=1))


def load(folder) -> "TransformersEngine":
    from processors.vlm.engine.local import TransformersEngine

    options = VlmOptions(model=str(folder), device="cpu", threads=1)
    return TransformersEngine.load(options, folder.parent, Progress(lambda message: None))


def test_tiny_model_reads_the_same_in_fewer_calls(monkeypatch: pytest.MonkeyPatch):
    from processors.vlm.engine import window_attention

    engine = load(TINY)
    calls: list[int] = []
    real = window_attention._attend
    monkeypatch.setattr(window_attention, "_attend", lambda *given: calls.append(len(given[0])) or real(*given))
    assert window_attention.use_in(engine._model)
    requests = [
        PageRequest(image=drawing(name), prompt=STATEMENT, token_limit=300)
        for name in ("statement-one", "statement-four")
    ]
    assert [each.text for each in engine.answer(requests, lambda: None)] == [
        answer(name) for name in ("statement-one", "statement-four")
    ]
    assert sum(calls) > 3 * len(calls), "several windows in a call"


@pytest.mark.parametrize("model_type", ["qwen2_5_vl", "qwen3_vl", "qwen3_5", "glm_ocr"])
def test_families_with_windows_compute_the_same(model_type: str, tmp_path):
    from processors.vlm.engine import window_attention

    engine = load(vlm_families.write_model(tmp_path / model_type, model_type))
    inputs = engine._chat.prepare(
        [PageRequest(image=drawing(name), prompt="Read.", token_limit=1) for name in ("line", "shapes-two")]
    )
    with torch.inference_mode():
        usual = engine._model(**copy.deepcopy(inputs)).logits
        assert window_attention.use_in(engine._model)
        found = engine._model(**inputs).logits
    torch.testing.assert_close(found, usual, atol=1e-5, rtol=1e-4)


def test_other_vision_towers_are_left_alone(tmp_path):
    from processors.vlm.engine import window_attention

    engine = load(vlm_families.write_model(tmp_path / "internvl", "internvl"))
    assert not window_attention.use_in(engine._model)
    assert engine._model.config.vision_config._attn_implementation == "sdpa"
