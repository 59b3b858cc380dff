"""Whisper's options in config.toml, checked without loading anything heavy."""

import subprocess
import sys

import pytest
from paths import ROOT
from pydantic import ValidationError

from processors.contract import NotReady, Runnable
from processors.whisper import TranscribeOptions, Whisper, WhisperOptions


def test_importing_the_processor_imports_nothing_heavy():
    heavy = "{'torch', 'whisper', 'numpy', 'av', 'transformers', 'tiktoken', 'numba'}"
    look = f"import sys, processors.whisper, processors.models; print(*{heavy} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("model", ["turbo", "tiny.en", "/srv/own.pt"])
def test_names_and_paths_of_models_are_accepted(model):
    assert WhisperOptions(model=model).model == model


@pytest.mark.parametrize(
    "options", [{"model": "turbbo"}, {"device": "gpu"}, {"threads": 0}, {"engine": "other"}, {"beam": 5}]
)
def test_misspelt_processor_option_is_refused(options):
    with pytest.raises(ValidationError):
        WhisperOptions(**options)


@pytest.mark.parametrize(
    ("language", "code"),
    [
        *(("de", "de"), ("German", "de"), ("haitian creole", "ht"), ("Castilian", "es"), ("mandarin", "zh")),
        *((None, None), ("auto", None), ("Auto", None)),
    ],
)
def test_languages_have_codes_and_names(language, code):
    assert TranscribeOptions(language=language).language == code


@pytest.mark.parametrize(
    "options",
    [{"language": "xx"}, {"formats": ["doc"]}, {"formats": []}, {"task": "summarise"}, {"max_line_width": 40}],
)
def test_impossible_recipe_is_refused(options):
    with pytest.raises(ValidationError):
        TranscribeOptions(**options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"suppress_tokens": "abc"}, "token numbers"),
        ({"speakers": "2"}, "without quotes"),
        ({"suppress_tokens": "99999999"}, "from 0 to 51863"),
        ({"suppress_tokens": "-1,-2"}, "token numbers"),
        ({"suppress_tokens": ""}, "token numbers"),
        ({"initial_prompt": "Say <|endoftext|>."}, "remove"),
        ({"vocabulary": ["Gutenberg", "<|en|>"]}, "remove"),
        ({"temperature": []}, "from 0 to 2"),
        ({"temperature": -1.0}, "from 0 to 2"),
        ({"temperature": [0.0, 0.0]}, "increasing"),
        ({"temperature": [1.0, 0.0]}, "increasing"),
        ({"temperature": [0.0, float("inf")]}, "finite"),
        ({"patience": 0}, "greater than 0"),
        ({"patience": 0.05}, "ends the search"),
        ({"patience": float("nan")}, "finite"),
        ({"hallucination_silence_threshold": -1, "word_timestamps": True}, "greater than 0"),
        ({"compression_ratio_threshold": float("inf")}, "finite"),
        ({"compression_ratio_threshold": 0}, "greater than 0"),
        ({"logprob_threshold": float("nan")}, "finite"),
        ({"logprob_threshold": 0.5}, "less than or equal to 0"),
        ({"no_speech_threshold": 2}, "less than or equal to 1"),
        ({"length_penalty": float("nan")}, "finite"),
        ({"beam_size": 1_000_000}, "64"),
        ({"best_of": 1_000_000}, "64"),
    ],
)
def test_options_that_would_fail_in_the_worker_are_refused(options, says):
    with pytest.raises(ValidationError, match=says):
        TranscribeOptions(**options)


@pytest.mark.parametrize("suppressed", ["-1", "0", "-1, 50,51863"])
def test_tokens_are_suppressed_by_number(suppressed):
    assert TranscribeOptions(suppress_tokens=suppressed).suppress_tokens == suppressed


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"max_line_count": 2}, "max_line_width"),
        ({"max_line_width": 40, "max_line_count": 2, "max_words_per_line": 3}, "leave one of them out"),
        ({"hallucination_silence_threshold": 2.0, "way": "fast"}, 'way = "exact"'),
    ],
)
def test_option_without_effect_is_refused(options, says):
    with pytest.raises(ValidationError, match=says):
        TranscribeOptions(**options, word_timestamps=True)


def test_vocabulary_is_in_the_prompt_of_every_window():
    assert (TranscribeOptions().fixed_prompt, TranscribeOptions().repeats_prompt) == (None, False)
    named = TranscribeOptions(vocabulary=["Özgür", "Fürth"], initial_prompt="Yesterday.")
    assert named.fixed_prompt == "Özgür, Fürth. Yesterday." and named.repeats_prompt


def test_vocabulary_longer_than_the_prompt_is_refused():
    with pytest.raises(ValidationError, match="limit of 400"):
        TranscribeOptions(vocabulary=["a long word"] * 40)


def test_recipe_survives_serialization():
    recipe = TranscribeOptions(language="de", temperature=0.2, word_timestamps=True, max_line_width=40)
    assert TranscribeOptions.model_validate(recipe.model_dump(mode="json")) == recipe


def test_english_only_model_is_refused_for_other_languages(tmp_path):
    options = WhisperOptions(model="tiny.en")
    assert isinstance(Whisper.plan(options, TranscribeOptions(), tmp_path), Runnable)
    assert isinstance(Whisper.plan(options, TranscribeOptions(language="en"), tmp_path), Runnable)
    for other, fix in (
        ({"language": "de"}, 'or language = "en" in'),
        ({"task": "translate", "language": "de"}, 'or task = "transcribe" and language = "en" in'),
        ({"multilingual": True}, "or multilingual = false in"),
    ):
        plan = Whisper.plan(options, TranscribeOptions(**other), tmp_path)
        assert isinstance(plan, NotReady) and fix in plan.why and 'set model = "tiny" in' in plan.why


def test_checkpoint_is_missing_until_it_exists(tmp_path):
    options = WhisperOptions(model=str(tmp_path / "own.pt"))
    assert isinstance(Whisper.plan(options, TranscribeOptions(), tmp_path), NotReady)
    (tmp_path / "own.pt").touch()
    assert isinstance(Whisper.plan(options, TranscribeOptions(), tmp_path), Runnable)


def test_one_beam_is_greedy():
    assert [TranscribeOptions(beam_size=size).beams for size in (None, 1, 2)] == [None, None, 2]
