"""Speech models of transformers: each family's configuration and processor classes run end to end, with random weights
and few layers. Their text and times are those of transformers itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import speech_models

from processors.contract import NotReady, Progress, Runnable, Unavailable
from processors.whisper import TranscribeOptions, Whisper, WhisperOptions, speech_families
from processors.whisper.speech_families import FAMILIES, why_unable
from processors.whisper.track.segment import Word
from tests.unit.processors.whisper.test_whisper import read_sound

if TYPE_CHECKING:
    from processors.whisper.engines.transformers_models import TransformersSpeechEngine

TIMED = ("parakeet_ctc", "parakeet_tdt", "parakeet_rnnt")


@pytest.fixture(scope="module", params=sorted(speech_models.FAMILIES))
def model_type(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def loaded(model_type: str, tmp_path_factory: pytest.TempPathFactory) -> Whisper:
    folder = speech_models.write_model(tmp_path_factory.mktemp("models") / model_type, model_type)
    whisper = Whisper()
    options = WhisperOptions(engine="transformers", model=str(folder), device="cpu", threads=1)
    whisper.load(options, folder.parent, Progress(lambda message: None))
    return whisper


@pytest.fixture
def engine(loaded: Whisper) -> "TransformersSpeechEngine":
    return loaded._engine


def sounds() -> list[np.ndarray]:
    sound = read_sound("jfk.flac")
    return [sound[: 16_000 * 3], sound[16_000 * 3 : 16_000 * 8]]


@pytest.mark.slow
def test_file_is_transcribed_in_all_formats(transcribe: Any, loaded: Whisper, model_type: str):
    is_timed = model_type in TIMED
    found = transcribe("jfk.flac", by=loaded, word_timestamps=is_timed, language="en")
    assert {path.suffix for path in found.outputs.iterdir()} == {".txt", ".srt", ".vtt", ".tsv", ".json"}
    segments = [*found.json()["segments"], *found.json()["dropped"]]
    assert segments and all(0 <= each["start"] <= each["end"] <= 11 for each in segments)
    for segment in segments:
        words = segment.get("words", [])
        assert bool(words) is is_timed
        assert "".join(word["word"] for word in words) == segment["text"] or not is_timed
        assert all(one["start"] <= other["start"] for one, other in zip(words, words[1:], strict=False))


@pytest.mark.slow
def test_windows_of_a_batch_have_the_same_tokens_as_alone(engine: "TransformersSpeechEngine"):
    """Windows of different lengths: what pads the shorter one leads to no words."""
    together = engine._model.tokens(sounds(), "en", "transcribe")
    for sound, tokens in zip(sounds(), together, strict=True):
        [alone] = engine._model.tokens([sound], "en", "transcribe")
        assert [each.number for each in tokens] == [each.number for each in alone] != []
        for one, other in zip(tokens, alone, strict=True):
            assert one.probability == pytest.approx(other.probability, abs=1e-4)
            assert (one.start, one.end) == (other.start, other.end)
        assert all(each.end is None or each.start < each.end <= len(sound) / 16_000 + 0.08 for each in tokens)


@pytest.mark.slow
def test_text_is_that_of_transformers(engine: "TransformersSpeechEngine", model_type: str):
    model, processor = engine._model._model, engine._model._processor
    if model_type == "canary":
        inputs = processor.apply_transcription_request(sounds()[:1], source_language="en")
    else:
        inputs = processor(sounds()[:1], sampling_rate=16_000, return_tensors="pt")
    arguments = {"max_new_tokens": 20} if model_type not in TIMED else {}
    if model_type in TIMED[1:]:
        arguments = {"decoder_start_token_id": 2, "max_new_tokens": 38 * model.max_symbols_per_step}  # 38 frames
    output = model.generate(**inputs, **arguments)
    numbers = getattr(output, "sequences", output)
    [wanted] = processor.batch_decode(numbers, skip_special_tokens=True)
    [tokens] = engine._model.tokens(sounds()[:1], "en", "transcribe")
    assert engine._model.text(tokens).replace(" ", "") == wanted.replace(" ", "")


# ---------------------------------------------------------------------------------------------- sentences


def test_segments_end_at_full_stops_and_pauses():
    from processors.whisper.engines.transformers_models import sentences

    def word(text: str, start: float) -> Word:
        return Word(word=f" {text}", start=start, end=start + 0.4, probability=1.0)

    words = [word("One", 0), word("two.", 1), word("Three", 2), word("four", 5), word("five?", 5.5)]
    found = [[each.word.strip() for each in sentence] for sentence in sentences(words)]
    assert found == [["One", "two."], ["Three"], ["four", "five?"]]
    assert list(sentences([])) == []


# ---------------------------------------------------------------------------------------------- what a model can do


@pytest.mark.parametrize(
    ("model_type", "name", "recipe", "why"),
    [
        ("parakeet_tdt", "nvidia/parakeet-tdt-0.6b-v3", {"language": "de", "word_timestamps": True}, ""),
        ("parakeet_tdt", "nvidia/parakeet-tdt-0.6b-v3", {"language": "ja"}, "does not know the language ja"),
        ("parakeet_tdt", "nvidia/parakeet-tdt-0.6b-v2", {"language": "de"}, "does not know the language de, only en"),
        ("parakeet_tdt", "nvidia/parakeet-tdt-0.6b-v3", {"languages": ["de", "fr"]}, "cannot report a language"),
        ("parakeet_ctc", "nvidia/parakeet-ctc-1.1b", {"task": "translate"}, 'set task = "transcribe"'),
        ("parakeet_ctc", "nvidia/parakeet-ctc-1.1b", {"vocabulary": ["Fürth"]}, "takes no prompt"),
        ("parakeet_ctc", "nvidia/parakeet-ctc-1.1b", {"speakers": "auto"}, ""),
        ("moonshine", "UsefulSensors/moonshine-base", {}, ""),
        ("moonshine", "UsefulSensors/moonshine-tiny-ja", {"language": "ja"}, ""),
        ("moonshine", "UsefulSensors/moonshine-base", {"speakers": 2}, "cannot time words"),
        ("canary", "nvidia/canary-1b-v2", {}, "set `language`"),
        ("canary", "nvidia/canary-1b-v2", {"language": "de", "task": "both"}, ""),
    ],
)
def test_recipe_that_a_model_cannot_do_is_reported(model_type: str, name: str, recipe: dict[str, Any], why: str):
    found = why_unable(FAMILIES[model_type], name, TranscribeOptions(**recipe))
    assert why in found and bool(found) is bool(why)
    assert not why or "engine" in found


@pytest.fixture
def plan(tmp_path: Path) -> Any:
    def plan(config: str, **recipe: Any) -> object:
        folder = tmp_path / "vlm" / "nvidia--parakeet"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(config)
        (folder / "model.safetensors").touch()
        options = WhisperOptions(engine="transformers", model="nvidia/parakeet")
        return Whisper.plan(options, TranscribeOptions(**recipe), tmp_path)

    return plan


def test_fetched_model_is_planned(plan: Any):
    assert plan('{"model_type": "parakeet_ctc"}') == Runnable()


@pytest.mark.parametrize("config", ['{"model_type": "qwen3_vl"}', "[]", "{"])
def test_model_that_is_none_of_speech_is_reported(config: str, plan: Any):
    found = plan(config)
    assert isinstance(found, NotReady) and "none of the speech models" in found.why


def test_model_that_is_missing_names_the_command_that_fetches_it(tmp_path: Path):
    options = WhisperOptions(engine="transformers", model="nvidia/parakeet-tdt-0.6b-v3")
    found = Whisper.plan(options, TranscribeOptions(), tmp_path)
    assert isinstance(found, NotReady) and "inboxd models fetch nvidia/parakeet-tdt-0.6b-v3" in found.why
    assert Whisper.weights_to_fetch(options, tmp_path) == "nvidia/parakeet-tdt-0.6b-v3"


def test_model_of_whisper_is_refused_with_this_engine():
    with pytest.raises(ValueError, match="turbo is a model of Whisper"):
        WhisperOptions(engine="transformers")


def test_damaged_weights_are_unavailable(tmp_path: Path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "parakeet_ctc"}')
    (folder / "model.safetensors").write_bytes(b"no weights")
    options = WhisperOptions(engine="transformers", model=str(folder), device="cpu")
    with pytest.raises(Unavailable, match="cannot be loaded. Copy the complete model"):
        Whisper().load(options, tmp_path, Progress(lambda message: None))


def test_every_family_has_a_model_in_these_tests():
    assert set(speech_models.FAMILIES) == set(speech_families.FAMILIES)
