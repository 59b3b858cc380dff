"""The types of single values in the options of Whisper's recipes, with their checks. The daemon imports this module, so
it imports nothing heavy."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from processors.options import split_list
from processors.whisper.weights import catalog

_MAX_VOCABULARY = 400  # characters: about half of Whisper's prompt, 223 tokens, in most languages
_LAST_TOKEN = 51863  # of the English-only models; the two more of the others are timestamps
_SPECIAL_TOKEN = "<|"  # start of Whisper's special tokens, such as <|endoftext|>, which text must not contain
_DETECT = "auto"  # as a language: detect it, even if config.toml or the folder sets another
MAX_BEAMS = 64  # more do not help, and each takes memory
_MAX_TEMPERATURE = 2.0  # above 1 the samples are hardly language
MAX_SECONDS = 1_000_000.0  # a recording of eleven days; more is a mistake
_MAX_TRACKS = 65_535  # of a file; also channels of a track
_MAX_SPEAKERS = 20  # the clustering cannot reliably distinguish more voices
_Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\n\r\[\]<>]+$")]  # of a speaker
MAX_LINE = 10_000  # characters, lines or words of a subtitle


def _read_clips(value: object) -> object:
    """Parse openai-whisper's "0,90,300,360", or a list of these numbers."""
    if isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple):
        raise ValueError('write starts and ends in seconds: "0,90,300,360"')
    try:
        seconds = tuple(float(part) for part in value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError('write starts and ends in seconds: "0,90,300,360"') from None
    increases = all(start < end for start, end in zip(seconds, seconds[1:], strict=False))
    if not increases or not all(0 <= second <= MAX_SECONDS for second in seconds):
        raise ValueError(
            f"starts and ends of clips must be seconds from 0 to {MAX_SECONDS:.0f}, each greater than the one before"
        )
    return seconds


class SpeakerRange(BaseModel):
    """How many people speak."""

    model_config = ConfigDict(extra="forbid")

    min: int = Field(default=1, ge=1, le=_MAX_SPEAKERS)
    max: int = Field(default=_MAX_SPEAKERS, ge=1, le=_MAX_SPEAKERS)

    @model_validator(mode="after")
    def _check_order(self) -> "SpeakerRange":
        if self.min > self.max:
            raise ValueError(f"min = {self.min} is more than max = {self.max}")
        return self


def _split_names(value: object) -> object:
    """Split "Anna, Ben" into a list; "auto" stays."""
    if isinstance(value, str) and value.strip().isdecimal():
        raise ValueError("write the number of speakers without quotes, or the speakers' names")
    return value if value == "auto" else split_list(value)


def _check_temperatures_increase(temperature: float | tuple[float, ...]) -> float | tuple[float, ...]:
    tried = temperature if isinstance(temperature, tuple) else (temperature,)
    increases = all(cold < hot for cold, hot in zip(tried, tried[1:], strict=False))
    if not tried or not increases or not all(0 <= each <= _MAX_TEMPERATURE for each in tried):
        raise ValueError(f"write a temperature from 0 to {_MAX_TEMPERATURE:g}, or a list of increasing ones")
    return temperature


def _check_tokens(suppress_tokens: str | None) -> str | None:
    if suppress_tokens is None:
        return None
    try:
        are_known = all(-1 <= int(number) <= _LAST_TOKEN for number in suppress_tokens.split(","))
    except ValueError:
        are_known = False
    if not are_known:
        raise ValueError(
            f"write token numbers from 0 to {_LAST_TOKEN}, separated by commas; -1 stands for all symbols that are "
            "not spoken"
        )
    return suppress_tokens


def _check_plain_text(given: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
    if any(_SPECIAL_TOKEN in text for text in ([given] if isinstance(given, str) else given or ())):
        raise ValueError(
            f'remove "{_SPECIAL_TOKEN}": it starts Whisper\'s special tokens, which a prompt must not contain'
        )
    return given


def _check_formats(formats: tuple[str, ...]) -> tuple[str, ...]:
    if not formats:
        raise ValueError("name at least one")
    return formats


def _check_length(vocabulary: tuple[str, ...]) -> tuple[str, ...]:
    length = len(", ".join(vocabulary))
    if length > _MAX_VOCABULARY:
        raise ValueError(f"the vocabulary has {length} characters, more than Whisper's limit of {_MAX_VOCABULARY}")
    return vocabulary


def _parse_language(language: str | None) -> str | None:
    name = (language or _DETECT).strip().lower()
    if name == _DETECT:
        return None
    code = catalog.language_code(name)
    if code is None:
        raise ValueError(f'unknown language {language!r}: write a code such as "en", or "auto" to detect it')
    return code


def _parse_languages(languages: tuple[str, ...]) -> tuple[str, ...]:
    codes = {language: catalog.language_code(language.strip().lower()) for language in languages}
    if unknown := [language for language, code in codes.items() if code is None]:
        raise ValueError(f'unknown language {unknown[0]!r}: write codes such as "en"')
    return tuple(dict.fromkeys(code for code in codes.values() if code))


Clips = Annotated[tuple[float, ...], BeforeValidator(_read_clips)]
Format = Literal["txt", "srt", "vtt", "tsv", "json", "md"]
Formats = Annotated[tuple[Format, ...], BeforeValidator(split_list), AfterValidator(_check_formats)]
Language = Annotated[str | None, AfterValidator(_parse_language)]
Languages = Annotated[tuple[str, ...], BeforeValidator(split_list), AfterValidator(_parse_languages)]
Prompt = Annotated[str | None, AfterValidator(_check_plain_text)]
Speakers = Annotated[
    Literal["auto"] | Annotated[int, Field(ge=1, le=_MAX_SPEAKERS)] | SpeakerRange | tuple[_Name, ...] | None,
    BeforeValidator(_split_names),
]
Temperature = Annotated[float | tuple[float, ...], AfterValidator(_check_temperatures_increase)]
Tokens = Annotated[str | None, AfterValidator(_check_tokens)]
TrackNumber = Annotated[int, Field(ge=1, le=_MAX_TRACKS)]
Vocabulary = Annotated[
    tuple[str, ...], BeforeValidator(split_list), AfterValidator(_check_plain_text), AfterValidator(_check_length)
]
