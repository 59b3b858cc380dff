"""No number that a recipe or config.toml accepts can overflow, or take all memory, in a worker."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from processors.ocr import OcrOptions, ReadOptions
from processors.vlm import AskOptions, VlmOptions
from processors.whisper import TranscribeOptions, WhisperOptions

_CLASSES = (TranscribeOptions, WhisperOptions, AskOptions, VlmOptions, ReadOptions, OcrOptions)
_EXTREMES = (1e308, -1e308, 1e30, -1e30, 2**63, -(2**63), 10**400)


def _takes_numbers(schema: Any) -> bool:
    match schema:
        case dict():
            return schema.get("type") in ("number", "integer") or any(map(_takes_numbers, schema.values()))
        case list():
            return any(map(_takes_numbers, schema))
    return False


def _numeric(options: type[BaseModel]) -> list[str]:
    return [name for name, schema in options.model_json_schema()["properties"].items() if _takes_numbers(schema)]


_CASES = [(options, name) for options in _CLASSES for name in _numeric(options)]


def test_the_table_knows_the_options_that_take_numbers():
    names = {name for _, name in _CASES}
    assert {"temperature", "clip_timestamps", "channel", "max_pixels", "max_new_tokens", "dpi", "threads"} <= names
    assert "language" not in names and len(_CASES) > 30


@pytest.mark.parametrize(("options", "name"), _CASES, ids=lambda each: getattr(each, "__name__", each))
@pytest.mark.parametrize("in_list", [False, True])
def test_an_extreme_number_is_refused_where_it_is_written(options: type[BaseModel], name: str, in_list: bool):
    for extreme in _EXTREMES:
        with pytest.raises(ValidationError) as refused:
            options(**{name: [extreme] if in_list else extreme})
        assert any(error["loc"][:1] == (name,) for error in refused.value.errors()), extreme


@pytest.mark.parametrize("temperature", [0, 2, "0.5", [0.0, 0.5, 2.0]])
def test_usual_temperatures_are_accepted(temperature: object):
    assert TranscribeOptions(temperature=temperature).temperatures[-1] <= 2


@pytest.mark.parametrize("clips", ["1e308", "0,1e308", "1e20", [0, 1e308], "inf", "nan"])
def test_clips_end_within_the_longest_recording(clips: object):
    with pytest.raises(ValidationError, match="seconds"):
        TranscribeOptions(clip_timestamps=clips)
