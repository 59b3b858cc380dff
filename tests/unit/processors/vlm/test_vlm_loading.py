"""Loading of a model on a GPU that lacks memory, formats or a driver: torch and transformers raise, or pretend."""

import logging
from pathlib import Path

import pytest
import torch
from paths import TESTS

from processors.contract import Unavailable
from processors.vlm.options import VlmOptions

TINY = TESTS / "data" / "tiny-vlm"
T4 = torch.device("cuda", 0)


@pytest.fixture
def loading():
    from processors.vlm.engine import loading

    return loading


def load(loading, *errors: Exception, monkeypatch: pytest.MonkeyPatch, **options: object):
    """Load the tiny model; the first calls of `from_pretrained` raise `errors`."""
    left, asked = list(errors), []
    real = loading.AutoModelForImageTextToText.from_pretrained

    def from_pretrained(*args: object, **given: object):
        asked.append(given["attn_implementation"])
        if left:
            raise left.pop(0)
        return real(*args, **given)

    monkeypatch.setattr(loading.AutoModelForImageTextToText, "from_pretrained", from_pretrained)
    model = loading.load_model(TINY, VlmOptions(model=str(TINY), device="cpu", **options), TINY.parent)
    return model, asked


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), r"needs 0\.0 GB, and cpu has .* free"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), r"needs 0\.0 GB, and cpu has .* free"),
        (RuntimeError("CUDA error: no kernel image is available for execution"), "Check nvidia-smi and the driver"),
        (RuntimeError("CUDA driver version is insufficient for CUDA runtime"), "Check nvidia-smi and the driver"),
    ],
)
def test_good_weights_are_not_blamed(error, says, loading, monkeypatch):
    with pytest.raises(Unavailable, match=says) as caught:
        load(loading, error, monkeypatch=monkeypatch)
    assert "models remove" not in str(caught.value) and "Copy the complete model" not in str(caught.value)


REFUSED = ValueError("DeepseekOcr2ForConditionalGeneration does not support Flash Attention 2 yet.")
REFUSED_SDPA = ValueError(
    "Model does not support an attention implementation through torch.nn.functional.scaled_dot_product_attention yet."
)


def test_model_that_refuses_an_attention_is_loaded_with_the_next_one(loading, monkeypatch):
    monkeypatch.setattr(loading, "choose_attention", lambda *about: "flash_attention_2")
    model, asked = load(loading, REFUSED, REFUSED_SDPA, monkeypatch=monkeypatch)
    assert asked == ["flash_attention_2", "sdpa", "eager"]
    assert model.config._attn_implementation == "eager"


def test_attention_that_was_configured_is_not_replaced(loading, monkeypatch):
    with pytest.raises(Unavailable, match='does not support attention = "sdpa".*Set attention = "auto"'):
        load(loading, REFUSED_SDPA, monkeypatch=monkeypatch, attention="sdpa")


def test_other_errors_are_not_taken_for_one_of_attention(loading, monkeypatch):
    with pytest.raises(Unavailable, match="Copy the complete model"):
        load(loading, ValueError("a size is wrong"), monkeypatch=monkeypatch)


# ---------------------------------------------------------------------------------------------- straight onto the GPU


def test_weights_reach_a_gpu_without_the_memory_of_the_host(loading):
    assert loading.placement(T4, None) == {"device_map": {"": T4}}
    assert loading.placement(torch.device("cpu"), None) == {}


def test_model_that_is_loaded_onto_a_device_is_the_same(loading, monkeypatch):
    usual, _ = load(loading, monkeypatch=monkeypatch)
    monkeypatch.setattr(loading, "placement", lambda *about: {"device_map": {"": torch.device("cpu")}})
    straight, _ = load(loading, monkeypatch=monkeypatch)
    for (name, one), (_, other) in zip(usual.named_parameters(), straight.named_parameters(), strict=True):
        assert torch.equal(one, other), name


# ---------------------------------------------------------------------------------------------- before Ampere


@pytest.fixture
def on_t4(loading, monkeypatch: pytest.MonkeyPatch):
    """A GPU without bfloat16, with so many bytes free."""

    def pretend(free: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
        monkeypatch.setattr(torch.cuda, "device", lambda device: torch.inference_mode())
        monkeypatch.setattr(loading, "free_bytes", lambda device: free)
        monkeypatch.setattr(loading.torch_device, "device_name", lambda device: "cuda:0 (Tesla T4)")

    return pretend


def test_gpu_without_bfloat16_computes_in_float32_where_that_fits(loading, on_t4):
    on_t4(15 * 10**9)
    assert loading.choose_dtype("auto", T4, 4 * 10**9) is torch.float32
    assert loading.choose_dtype("float16", T4, 4 * 10**9) is torch.float16


def test_float16_is_the_last_resort_and_a_warning(loading, on_t4, caplog):
    on_t4(15 * 10**9)
    with caplog.at_level(logging.WARNING):
        assert loading.choose_dtype("auto", T4, 9 * 10**9) is torch.float16
    assert "Tesla T4) does not support bfloat16" in caplog.text and "smaller model" in caplog.text


def test_estimates_share_one_table_of_quantized_sizes(tmp_path: Path):
    from processors.vlm.engine import weights

    assert weights.SHARE_LOADED.keys() == {"none", "8bit", "4bit"}
    assert weights.cache_bytes_per_token(TINY) > 0
    assert weights.cache_bytes_per_token(tmp_path) == 0
