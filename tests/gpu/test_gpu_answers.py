"""Text from a GPU is the text from the CPU: Whisper eagerly and as graphs, the vision-language model in all formats."""

import json
import os
import wave
from difflib import SequenceMatcher
from pathlib import Path

import layout_model
import numpy as np
import pytest
import speech_models
import tiny_vlm
import vlm_families
from paths import TESTS

from processors.contract import Progress
from processors.vlm import VlmOptions
from processors.vlm.types import PageRequest

SPEECH = TESTS / "data" / "audio" / "LJ001-0001.wav"
LEAST_LIKENESS = 0.9  # of a text in half precision; equal in float32
VLM_TOLERANCE = 2e-3  # of token probabilities in float32


def test_report_names_the_machine(device, report):
    import torch
    import transformers

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    report.append(f"## {name}, torch {torch.__version__}, transformers {transformers.__version__}\n")


# ---------------------------------------------------------------------------------------------- Whisper


@pytest.fixture(scope="module")
def checkpoint() -> tuple[dict, dict]:
    """Dimensions and weights of tiny.en: the real ones from INBOXD_TEST_MODELS, else random ones with two layers."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    path = Path(os.environ.get("INBOXD_TEST_MODELS", "nowhere")) / "whisper" / "tiny.en.pt"
    if path.is_file():
        found = torch.load(path, map_location="cpu", weights_only=True)
        return found["dims"], found["model_state_dict"]
    torch.manual_seed(0)
    dims = ModelDimensions(80, 1500, 384, 6, 2, 51864, 448, 384, 6, 2)
    model = Whisper(dims)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    return vars(dims), model.state_dict()


@pytest.fixture(scope="module")
def mels(device) -> list:
    """Windows of speech: of several lengths on a GPU, a single short one on the CPU."""
    import torch
    from whisper.audio import log_mel_spectrogram, pad_or_trim

    with wave.open(str(SPEECH)) as file:
        assert (file.getsampwidth(), file.getnchannels()) == (2, 1)
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16).astype(np.float32) / 32768
    at_16_khz = np.interp(np.arange(0, len(samples), rate / 16000), np.arange(len(samples)), samples)
    cuts = [(0, 30), (0, 5), (2, 9), (4, 30), (1, 3), (0, 8)] if device.type == "cuda" else [(0, 4)]
    parts = [at_16_khz[start * 16000 : end * 16000].astype(np.float32) for start, end in cuts]
    return [log_mel_spectrogram(pad_or_trim(torch.from_numpy(part))) for part in parts]


def transcribe(checkpoint, mels, device, dtype, capture) -> list[list[str]]:
    """The texts of several batches: graphs of several sizes, captured and replayed."""
    from whisper.decoding import DecodingOptions
    from whisper.model import ModelDimensions, Whisper

    from processors.whisper.decoder.decoding import BatchDecoder
    from processors.whisper.engines.openai_whisper import share_weights

    dims, weights = checkpoint
    model = Whisper(ModelDimensions(**dims))
    model.load_state_dict(weights)
    share_weights(model, dtype)
    decoder = BatchDecoder(model.to(device).eval(), dtype, capture=capture)
    prompts = (None, "A speech of 1961.")
    options = [
        DecodingOptions(language="en", fp16=False, prompt=prompts[number % 2], sample_len=60 if len(mels) > 1 else 12)
        for number in range(len(mels))
    ]
    found = []
    for count in sorted({1, min(3, len(mels)), len(mels)}, reverse=True) * 2 if len(mels) > 1 else [1]:
        features = decoder.encode_all([mel.to(device) for mel in mels[:count]], [None] * count)
        found.append([result.text for result in decoder.decode(features, options[:count])])
    return found


@pytest.fixture(scope="module")
def wanted(checkpoint, mels) -> list[list[str]]:
    import torch

    return transcribe(checkpoint, mels, torch.device("cpu"), torch.float32, None)


@pytest.mark.parametrize("mode", ["step by step", "eagerly", "graphs"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_speech_has_the_text_of_the_cpu(mode: str, dtype: str, checkpoint, mels, wanted, device, report):
    import torch

    from processors.whisper.decoder.cuda_graphs import CudaGraphs, eagerly

    if device.type != "cuda" and (mode, dtype) != ("eagerly", "float32"):
        pytest.skip("needs a GPU")
    capture = {"step by step": None, "eagerly": eagerly, "graphs": CudaGraphs(device)}[mode]
    found = transcribe(checkpoint, mels, device, getattr(torch, dtype), capture)
    pairs = [
        (one, other)
        for ours, theirs in zip(found, wanted, strict=True)
        for one, other in zip(ours, theirs, strict=True)
    ]
    equal = sum(one == other for one, other in pairs)
    report.append(f"- Whisper, {mode}, {dtype}: {equal} of {len(pairs)} texts equal to the CPU's")
    if dtype == "float32":
        assert equal == len(pairs), [pair for pair in pairs if pair[0] != pair[1]]
    else:
        likeness = [SequenceMatcher(None, *pair).ratio() for pair in pairs]
        assert min(likeness) > LEAST_LIKENESS, pairs


@pytest.mark.parametrize("model_type", sorted(speech_models.FAMILIES))
def test_other_speech_models_write_what_they_write_on_the_cpu(model_type: str, device, tmp_path, report):
    import torch

    from processors.whisper.engines.speech_models import SpeechModel
    from processors.whisper.speech_families import FAMILIES

    if device.type != "cuda" and model_type != "parakeet_tdt":
        pytest.skip("needs a GPU")
    folder = speech_models.write_model(tmp_path / model_type, model_type)
    rng = np.random.default_rng(0)
    sounds = [rng.normal(0, 0.1, 16_000 * seconds).astype(np.float32) for seconds in (2, 5)]
    ours, theirs = (
        SpeechModel.load(folder, FAMILIES[model_type], each, torch.float32).tokens(sounds, "en", "transcribe")
        for each in (device, torch.device("cpu"))
    )
    assert [[token.number for token in tokens] for tokens in ours] == [
        [token.number for token in tokens] for tokens in theirs
    ]
    report.append(f"- {model_type}: the tokens of the CPU")


# ---------------------------------------------------------------------------------------------- pages


def requests(count: int) -> list[PageRequest]:
    names = list(tiny_vlm.ANSWERS)[:count]
    return [
        PageRequest(image=tiny_vlm.drawing(name.removesuffix(".png")), prompt=tiny_vlm.ANSWERS[name]["prompt"],
                    token_limit=300)
        for name in names
    ]  # fmt: skip


def engine_on(folder: Path, device, dtype: str, cache: str = "dynamic"):
    from processors.vlm.engine.local import TransformersEngine

    options = VlmOptions(model=str(folder), device=str(device), dtype=dtype, threads=1, cache=cache)
    return TransformersEngine.load(options, folder.parent, Progress(lambda message: None))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_pages_have_the_text_of_the_cpu(dtype: str, device, report):
    if device.type != "cuda" and dtype != "float32":
        pytest.skip("needs a GPU")
    asked = requests(len(tiny_vlm.ANSWERS) if device.type == "cuda" else 1)
    answers = engine_on(tiny_vlm.TINY, device, dtype).answer(asked, lambda: None)
    expected = [about["answer"] for about in tiny_vlm.ANSWERS.values()]
    right = sum(answer.text == text for answer, text in zip(answers, expected, strict=False))
    report.append(f"- pages, {dtype}: {right} of {len(asked)} right, as on the CPU")
    assert right == len(asked) if dtype == "float32" else right >= len(asked) - 1


def test_pages_have_the_same_text_with_a_cache_of_a_fixed_size(device, report):
    """On a GPU, transformers compiles the step; where that fails, the report says so, and the text is the same."""
    asked = requests(len(tiny_vlm.ANSWERS) if device.type == "cuda" else 1)
    engine = engine_on(tiny_vlm.TINY, device, "float32", "static")
    expected = [about["answer"] for about in tiny_vlm.ANSWERS.values()]
    answers = engine.answer(asked, lambda: None)
    report.append(f"- static cache, {'in use' if engine._cache.is_on else 'REFUSED: see the log'}: same text")
    assert [answer.text for answer in answers] == expected[: len(asked)]


SCHEMA = json.loads(tiny_vlm.STATEMENT_SCHEMA.read_text(encoding="utf-8"))


def test_answers_follow_a_schema(device):
    image = tiny_vlm.drawing("statement-one")
    asked = PageRequest(image=image, prompt=tiny_vlm.STATEMENT, token_limit=300, json_schema=SCHEMA)
    [answer] = engine_on(tiny_vlm.TINY, device, "auto").answer([asked], lambda: None)
    assert json.loads(answer.text) == json.loads(tiny_vlm.answer("statement-one"))


@pytest.mark.parametrize("model_type", sorted(vlm_families.FAMILIES))
def test_families_compute_what_they_compute_on_the_cpu(model_type: str, device, tmp_path, report):
    """Also with the attention to windows that only a GPU uses. On the CPU, the two engines are the same."""
    if device.type != "cuda" and model_type != "qwen2_5_vl":
        pytest.skip("needs a GPU")
    folder = vlm_families.write_model(tmp_path / model_type, model_type)
    asked = [
        PageRequest(image=tiny_vlm.drawing(name), prompt=prompt, token_limit=4)
        for name, prompt in (("line", "Read."), ("shapes-two", "Read everything."))
    ]
    ours, theirs = (engine_on(folder, each, "float32").answer(asked, lambda: None) for each in (device, "cpu"))
    for one, other in zip(ours, theirs, strict=True):
        assert not one.error
        assert one.lowest_token_probability == pytest.approx(other.lowest_token_probability, abs=VLM_TOLERANCE)
    report.append(f"- {model_type}: as on the CPU")


def test_layout_model_finds_the_regions_of_the_cpu(device, tmp_path, report, monkeypatch: pytest.MonkeyPatch):
    """Random weights are sure of nothing, so all regions count, in an order that rounding may change."""
    import torch

    from processors.vlm.engine import layout

    monkeypatch.setattr(layout, "_THRESHOLD", 0.0)
    folder = layout_model.write_model(tmp_path / "layout")
    page = tiny_vlm.drawing("statement-one")
    ours, theirs = (
        layout.LayoutDetector.load(folder, "layout", tmp_path, each).regions(page)
        for each in (device, torch.device("cpu"))
    )
    assert len(ours) == len(theirs) > 0
    report.append(f"- layout model: {len(ours)} regions, on the CPU {len(theirs)}")
