"""What a loaded model is thought to need of the memory that `[workers] memory` shares out."""

import json
from pathlib import Path

import pytest
from paths import TESTS

from processors import contract, registry


def _needed(processor: str, models: Path, **options: object) -> int:
    cls = registry.find(processor)
    return cls.memory_needed(cls.Options(**options), models)


def test_larger_whisper_models_need_more_and_an_unknown_one_as_much_as_the_largest(tmp_path: Path):
    sizes = [_needed("whisper", tmp_path, model=name) for name in ("tiny.en", "small", "medium", "turbo", "large-v3")]
    assert sizes == sorted(sizes) and sizes[0] == 10**9
    assert _needed("whisper", tmp_path, model="mine.pt") == sizes[-1]


def test_vision_language_model_needs_its_weights_and_room_for_its_pages(tmp_path: Path):
    folder = TESTS / "data/tiny-vlm"
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    alone = _needed("vlm", tmp_path, model=str(folder), pages_at_once=1)
    assert weights < alone < _needed("vlm", tmp_path, model=str(folder), pages_at_once=8)
    assert _needed("vlm", tmp_path, model=str(folder), pages_at_once=1, quantization="4bit") < alone


def test_server_needs_no_memory_and_the_config_overrides_the_estimate(tmp_path: Path):
    assert _needed("vlm", tmp_path, engine="openai", base_url="http://localhost:1/v1") == 0
    assert _needed("vlm", tmp_path, memory="6GB") == 6 * 10**9
    with pytest.raises(ValueError, match="6GB"):
        contract.Options(memory="80%")


def test_pages_of_statements_count_with_the_pixels_that_a_gpu_is_shown(tmp_path: Path):
    model = str(TESTS / "data/tiny-vlm")
    on_cpu = _needed("vlm", tmp_path, model=model, device="cpu")
    for device in ("auto", "cuda", "cuda:1"):
        assert _needed("vlm", tmp_path, model=model, device=device) > on_cpu
        assert _needed("vlm", tmp_path, model=model, device=device, max_pixels=500_000) < on_cpu


def test_long_answers_count_but_no_more_than_the_weights(tmp_path: Path):
    """The engine takes fewer pages at once where keys and values would not fit."""
    config = {"text_config": {"num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8,
                              "head_dim": 128, "hidden_size": 2560}}  # fmt: skip
    folder = tmp_path / "model"
    folder.mkdir()
    with (folder / "model.safetensors").open("wb") as weights:
        weights.truncate(9 * 10**9)
    (folder / "config.json").write_text("{}")
    without = _needed("vlm", tmp_path, model=str(folder), pages_at_once=1)
    (folder / "config.json").write_text(json.dumps(config))
    one, eight, many = (_needed("vlm", tmp_path, model=str(folder), pages_at_once=each) for each in (1, 8, 64))
    assert one - without == 12_000 * 2 * 36 * 8 * 128 * 2
    assert one < eight == many < one + 10 * 10**9
