"""Weights of Whisper in half precision: one copy in memory, and the same text."""

import pytest
import torch
import whisper
from whisper.model import ModelDimensions, Whisper

from processors.whisper.decoder.decoding import BatchDecoder
from processors.whisper.engines.openai_whisper import choose_dtype, share_weights

DIMS = ModelDimensions(
    n_mels=80, n_audio_ctx=1500, n_audio_state=64, n_audio_head=2, n_audio_layer=1,
    n_vocab=51865, n_text_ctx=448, n_text_state=64, n_text_head=2, n_text_layer=1,
)  # fmt: skip


@pytest.fixture
def model() -> Whisper:
    torch.manual_seed(0)
    made = Whisper(DIMS).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    return made


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_decoder_uses_the_weights_of_the_model(model: Whisper, dtype: torch.dtype):
    share_weights(model, dtype)
    decoder = BatchDecoder(model, dtype)
    shared = {parameter.data_ptr() for parameter in model.parameters()}
    own = [decoder.text_decoder._embedding, *(weight for weight, _ in decoder.audio_encoder._conv)]
    assert {each.data_ptr() for each in own} <= shared
    sizes = [each.numel() * each.element_size() for each in model.parameters()]
    assert sum(sizes) < 0.55 * sum(each.numel() * 4 for each in model.parameters())


def test_norms_stay_in_float32_and_the_model_itself_still_runs(model: Whisper):
    share_weights(model, torch.bfloat16)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.LayerNorm)]
    assert norms and {each.weight.dtype for each in norms} == {torch.float32}
    mel = torch.randn(1, 80, 3000)
    with torch.inference_mode():
        features = model.encoder(mel.to(torch.bfloat16))
        assert model.decoder(torch.tensor([[50258]]), features).isfinite().all()
        assert whisper.detect_language(model, mel.to(torch.bfloat16))[0] is not None


def test_float32_is_left_alone(model: Whisper):
    before = {name: each.data_ptr() for name, each in model.named_parameters()}
    share_weights(model, torch.float32)
    assert before == {name: each.data_ptr() for name, each in model.named_parameters()}


def test_gpu_decodes_in_half_precision_unless_configured():
    assert choose_dtype("auto", torch.device("cuda", 0)) == "float16"
    assert choose_dtype("auto", torch.device("cpu")) == "float32"
    assert choose_dtype("float32", torch.device("cuda", 0)) == "float32"


def test_windows_at_once_follow_the_memory_that_is_free(model: Whisper, monkeypatch: pytest.MonkeyPatch):
    """Beside another model, a card has less memory than its total."""
    from processors.whisper.engines import batch_runner

    class OnCard:
        dims, device = ModelDimensions(128, 1500, 1280, 20, 32, 51866, 448, 1280, 20, 32), torch.device("cuda", 0)

    def at_once(free_gigabytes: float) -> int:
        monkeypatch.setattr(batch_runner, "free_bytes", lambda device: int(free_gigabytes * 1e9))
        return batch_runner._max_windows(OnCard(), torch.float16)

    assert [at_once(each) for each in (0, 1, 8, 20, 75)] == [1, 1, 8, 16, 64]
