"""Weights of Whisper: one copy of them in memory, and the same text."""

import mmap
from pathlib import Path

import pytest
import torch
import whisper
from whisper.decoding import DecodingOptions
from whisper.model import ModelDimensions, Whisper

from processors.whisper.decoder import mapped
from processors.whisper.decoder.decoding import BatchDecoder
from processors.whisper.engines.batch_runner import BatchRunner
from processors.whisper.engines.openai_whisper import adopt_weights, choose_dtype, share_weights

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


def test_norms_remain_in_float32_and_the_model_still_runs(model: Whisper):
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


def stored(model: Whisper, path: Path) -> dict[str, torch.Tensor]:
    """The weights in half precision, as published checkpoints have them: in a file that is mapped into memory."""
    half = {name: tensor.half() for name, tensor in model.state_dict().items()}
    torch.save(half, path)
    return torch.load(path, mmap=True, weights_only=True)


def adopted(state: dict[str, torch.Tensor]) -> Whisper:
    made = Whisper(DIMS).eval()
    adopt_weights(made, state)
    return made


def test_adopted_weights_are_those_of_the_file_and_compute_the_same(model: Whisper, tmp_path: Path):
    state = stored(model, tmp_path / "model.pt")
    found, copied = adopted(state), Whisper(DIMS).eval()
    copied.load_state_dict(state)
    assert found.decoder.token_embedding.weight.data_ptr() == state["decoder.token_embedding.weight"].data_ptr()
    mel, tokens = torch.randn(1, 80, 3000), torch.tensor([[50258, 50259, 50359]])
    with torch.inference_mode():
        assert torch.allclose(found(mel, tokens), copied(mel, tokens), atol=1e-5)
        assert whisper.detect_language(found, mel)[1] == whisper.detect_language(copied, mel)[1]


@pytest.mark.parametrize("beams", [None, 2])
def test_decoder_of_adopted_weights_gives_the_same_tokens(model: Whisper, tmp_path: Path, beams: int | None):
    state = stored(model, tmp_path / "model.pt")
    copied = Whisper(DIMS).eval()
    copied.load_state_dict(state)
    mel, options = torch.randn(80, 3000), DecodingOptions(fp16=False, language="en", beam_size=beams, sample_len=8)
    texts = []
    for each in (copied, adopted(state)):
        decoder = BatchDecoder(each, torch.float32)
        texts.append(decoder.decode([decoder.encode(mel)], [options])[0].tokens)
    assert texts[0] == texts[1]


def test_released_weights_are_read_again_from_their_file(model: Whisper, tmp_path: Path):
    state = stored(model, tmp_path / "model.pt")
    before = {name: tensor.clone() for name, tensor in state.items()}
    in_memory = [tensor.clone() for tensor in before.values()]
    mapped.release([*state.values(), *in_memory])
    assert all(torch.equal(state[name], tensor) for name, tensor in before.items())
    assert all(map(torch.equal, in_memory, before.values()))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[2]) * mmap.PAGESIZE  # shared: mapped from files


def test_released_weights_leave_memory(model: Whisper, tmp_path: Path):
    state = stored(model, tmp_path / "model.pt")
    size = sum(tensor.sum() is not None and tensor.nbytes for tensor in state.values())
    before = resident_bytes()
    mapped.release(state.values())
    assert before - resident_bytes() > 0.5 * size


def test_rows_read_here_and_there_do_not_bring_all_weights_into_memory(model: Whisper, tmp_path: Path):
    embedding = stored(model, tmp_path / "model.pt")["decoder.token_embedding.weight"]
    mapped.release([embedding])
    copied, reads, before, most = model.decoder.token_embedding.weight.half(), mapped.ScatteredReads(embedding), 0, 0
    before = resident_bytes()
    for rows in torch.randperm(len(embedding), generator=torch.Generator().manual_seed(1)).split(64)[:200]:
        assert torch.equal(embedding[rows], copied[rows])
        most = max(most, resident_bytes() - before)
        reads.count(len(rows))
    assert most > 0.2 * embedding.nbytes  # negative control: they come by many pages at once
    assert resident_bytes() - before < 0.2 * embedding.nbytes


def test_weights_that_are_not_mapped_are_not_dropped():
    embedding = torch.randn(4000, 384)
    before, reads = embedding.clone(), mapped.ScatteredReads(embedding)
    for _ in range(100):
        reads.count(64)
    assert torch.equal(embedding, before)


def test_weights_of_another_model_are_rejected(model: Whisper):
    with pytest.raises(RuntimeError, match="size mismatch"):
        adopt_weights(Whisper(DIMS), {**model.state_dict(), "decoder.ln.weight": torch.ones(3)})


def test_beams_decode_fewer_windows_at_once_on_a_cpu(model: Whisper):
    runner = BatchRunner(model, torch.float32)
    assert runner.at_once == 4
    assert [runner._at_once(DecodingOptions(beam_size=beams)) for beams in (None, 5, 40)] == [4, 3, 1]


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
