"""Transcripts for the APIs of speech programs: from the fields of a request to options, and from a result to text."""

import importlib
import math
from collections.abc import Mapping

from pydantic import BaseModel, JsonValue, ValidationError

from daemon.config.settings import Settings
from daemon.web.compat.work import Finished, default_recipe, has_option
from daemon.web.errors import WebError
from processors.contract import Kind

SUBTITLES = ("srt", "vtt", "tsv")  # output formats that are sent unchanged


class Transcript(BaseModel):
    """The JSON of a result; see docs/speech.md."""

    text: str = ""
    segments: list[dict[str, JsonValue]]
    language: str | None = None  # its code
    language_probability: float | None = None
    seconds: float = 0.0

    @property
    def language_name(self) -> str:
        """The name that openai-whisper uses for the language, such as "english"."""
        return _language_names().get(self.language or "", self.language or "")

    def words(self) -> list[dict[str, JsonValue]]:
        """The words with their times, if they were requested."""
        found = []
        for segment in self.segments:
            words = segment.get("words")
            for word in words if isinstance(words, list) else ():
                if isinstance(word, dict):
                    text = str(word.get("word", "")).strip()
                    found.append({"word": text, "start": word.get("start"), "end": word.get("end")})
        return found


def _language_names() -> Mapping[str, str]:
    """The names of languages by code, from a module that the check of config.toml has already imported."""
    names: Mapping[str, str] = importlib.import_module("processors.whisper.weights.catalog").LANGUAGES
    return names


def options_for(
    settings: Settings,
    recipe: str | None,
    *,
    form: str,
    language: str = "",
    prompt: str = "",
    temperature: str = "",
    translate: bool = False,
    words: bool = False,
) -> dict[str, JsonValue]:
    """The options of a job. `form`: the format of the response.

    Raises:
        WebError: there is no recipe for sound, or a value is wrong.
    """
    recipe = recipe or default_recipe(settings, Kind.AUDIO)
    if recipe is None:
        raise WebError(404, "model_not_found", "No recipe transcribes sound.", "Set `audio` in [inbox] of config.toml.")
    options: dict[str, JsonValue] = {"recipe": recipe}
    if has_option(settings, recipe, "formats"):
        options["formats"] = ["json", form] if form in SUBTITLES else ["json"]
    if translate:
        options["task"] = "translate"
    if language:
        options["language"] = language
    if prompt:
        options["initial_prompt"] = prompt
    if words:
        options["word_timestamps"] = True
    if temperature and (degree := _number(temperature)) > 0:  # for OpenAI, 0 means automatic, which is the default here
        options["temperature"] = degree
    return options


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise WebError(400, "bad_parameter", f"temperature={text[:100]!r} is not a positive number.")
    return number


async def transcript_of(finished: Finished) -> Transcript:
    """The transcript of a result.

    Raises:
        WebError: the recipe does not transcribe.
    """
    try:
        return Transcript.model_validate_json(await finished.text(".json") or "")
    except ValidationError as error:
        fix = "Choose a recipe that does, with the format json."
        raise WebError(422, "no_transcript", f"The recipe {finished.row['recipe']} made no transcript.", fix) from error
