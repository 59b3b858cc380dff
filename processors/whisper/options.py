"""What `[processors.whisper]` and a recipe of it may say. Imported by the daemon: nothing heavy."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from processors.contract import DEVICES, MOST_AT_ONCE, MOST_THREADS, RecipeOptions
from processors.remote import ServerOptions
from processors.whisper.weights import catalogue

_LONGEST_VOCABULARY = 400  # characters: half of what Whisper may be told, 223 tokens, in most languages
_LAST_TOKEN = 51863  # of the models that know English only; the two that others have more are times
_CONTROL_SIGN = "<|"  # begins Whisper's own signs, such as <|endoftext|>: in a text they are an error
_HEARD = "auto"  # as a language: the one that is heard, whatever config.toml or a folder's file says
_MOST_BEAMS = 64  # more than any search gains by, and memory for each
_HOTTEST = 2.0  # temperature; above 1 the samples are hardly language
_LONGEST_SECONDS = 1_000_000.0  # a recording of eleven days; more overflows nothing, but is a mistake
_MOST_TRACKS = 65_535  # of a file, and channels of a track
_LONGEST_LINE = 10_000  # characters, lines or words of a subtitle

Format = Literal["txt", "srt", "vtt", "tsv", "json", "md"]


class WhisperOptions(ServerOptions):
    """`[processors.whisper]`"""

    engine: Literal["openai-whisper", "faster-whisper", "openai"] = "openai-whisper"  # openai: a server, at base_url
    model: str = "turbo"  # a name of openai-whisper, or the path of a checkpoint (.pt); else as its engine names it
    # auto: CUDA if there is any
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description=DEVICES)
    # auto: float16 on a GPU, float32 on the CPU; there `fast` reads the sound in bfloat16, where that is faster
    dtype: Literal["auto", "float32", "bfloat16", "float16", "int8"] = "auto"
    threads: int | None = Field(default=None, ge=1, le=MOST_THREADS)  # on the CPU; None: torch decides
    compute_type: str = "auto"  # of faster-whisper: "int8", "float32", "float16"; auto: int8, on a GPU float16
    max_batch: int = Field(default=8, ge=1, le=MOST_AT_ONCE)  # files whose windows are decoded together

    @model_validator(mode="after")
    def _is_known(self) -> "WhisperOptions":
        if self.engine == "openai-whisper" and self.model not in catalogue.NAMES and not self.model.endswith(".pt"):
            raise ValueError(
                f"no Whisper model {self.model!r}: write the path of a .pt file, or {', '.join(catalogue.NAMES)}"
            )
        return self

    @model_validator(mode="after")
    def _outlasts_a_request(self) -> "WhisperOptions":
        if self.engine == "openai" and self.request_timeout >= self.timeout:
            raise ValueError(
                f"a job without progress for timeout = {self.timeout:g} s is ended, before its server has had "
                f"request_timeout = {self.request_timeout:g} s to answer: raise `timeout`, or lower `request_timeout`"
            )
        return self


def _split(value: object) -> object:
    """ "a, b" for a list of them."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _read_clips(value: object) -> object:
    """openai-whisper's "0,90,300,360", or a list of these numbers."""
    if isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple):
        raise ValueError('write starts and ends in seconds: "0,90,300,360"')
    try:
        seconds = tuple(float(part) for part in value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError('write starts and ends in seconds: "0,90,300,360"') from None
    grows = all(start < end for start, end in zip(seconds, seconds[1:], strict=False))
    if not grows or not all(0 <= second <= _LONGEST_SECONDS for second in seconds):
        raise ValueError(
            f"starts and ends of clips are seconds from 0 to {_LONGEST_SECONDS:.0f}, each greater than the one before"
        )
    return seconds


class TranscribeOptions(RecipeOptions):
    """`[recipes.NAME]`: names and defaults are those of the `whisper` command, except where a comment says why not."""

    model_config = ConfigDict(allow_inf_nan=False)

    # exact: openai-whisper's own way, window after window, each with the text before it; the same text as there.
    # fast: what is spoken, cut at pauses, all windows at once and without the text before them
    way: Literal["exact", "fast"] = "exact"
    cut_context: bool = True  # fast: the encoder sees little more than the window, not 30 s; doubtful ones again whole
    vad: bool = True  # a voice detector tells where nobody speaks: no text is believed there
    task: Literal["transcribe", "translate"] = "transcribe"  # translate: into English
    language: str | None = None  # a code such as "de", or a name; "auto", None: heard from the first half minute
    multilingual: bool = False  # it may change: heard anew every quarter minute, each stretch transcribed in its own
    # names and terms to expect, told before every window (the command has no such)
    vocabulary: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()
    initial_prompt: str | None = None  # what was said before, or in which style
    carry_initial_prompt: bool = False  # repeat it for every window
    condition_on_previous_text: bool = True  # False: less consistent, but no error is carried on
    temperature: float | tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # tried in turn until a window is good
    beam_size: int | None = Field(default=5, ge=1, le=_MOST_BEAMS)  # at temperature 0; 1 or None: greedy, twice as fast
    best_of: int | None = Field(default=5, ge=1, le=_MOST_BEAMS)  # samples above temperature 0
    patience: float | None = Field(default=None, gt=0, le=100)
    length_penalty: float | None = Field(default=None, ge=0, le=1)
    suppress_tokens: str | None = "-1"  # their numbers; -1: those of signs that are not spoken
    # above: the text repeats itself, try the next temperature
    compression_ratio_threshold: float | None = Field(default=2.4, gt=0, le=1000)
    logprob_threshold: float | None = Field(default=-1.0, ge=-1000, le=0)  # below: unsure, try the next temperature
    no_speech_threshold: float | None = Field(default=0.6, ge=0, le=1)  # above, and unsure: silence
    clip_timestamps: Annotated[tuple[float, ...], BeforeValidator(_read_clips)] = ()  # "start,end,…"; "": all of it
    track: int = Field(default=1, ge=1, le=_MOST_TRACKS)  # which sound track of a film
    # each: every speaker has a microphone
    channel: Literal["mix", "each"] | Annotated[int, Field(ge=1, le=_MOST_TRACKS)] = "mix"
    word_timestamps: bool = False
    # seconds; needs word_timestamps
    hallucination_silence_threshold: float | None = Field(default=None, gt=0, le=_LONGEST_SECONDS)
    highlight_words: bool = False  # these four shape subtitles and need word_timestamps
    max_line_width: int | None = Field(default=None, ge=1, le=_LONGEST_LINE)
    max_line_count: int | None = Field(default=None, ge=1, le=_LONGEST_LINE)
    max_words_per_line: int | None = Field(default=None, ge=1, le=_LONGEST_LINE)
    # the first is the one to open
    formats: Annotated[tuple[Format, ...], BeforeValidator(_split)] = ("txt", "srt", "vtt", "tsv", "json")

    @field_validator("temperature")
    @classmethod
    def _grows_hotter(cls, temperature: float | tuple[float, ...]) -> float | tuple[float, ...]:
        tried = temperature if isinstance(temperature, tuple) else (temperature,)
        grows = all(cold < hot for cold, hot in zip(tried, tried[1:], strict=False))
        if not tried or not grows or not all(0 <= each <= _HOTTEST for each in tried):
            raise ValueError(
                f"write a temperature from 0 to {_HOTTEST:g}, or a list of them, each higher than the one before it"
            )
        return temperature

    @field_validator("suppress_tokens")
    @classmethod
    def _are_tokens(cls, suppress_tokens: str | None) -> str | None:
        if suppress_tokens is None:
            return None
        try:
            are_known = all(-1 <= int(number) <= _LAST_TOKEN for number in suppress_tokens.split(","))
        except ValueError:
            are_known = False
        if not are_known:
            raise ValueError(
                f"write numbers of tokens, from 0 to {_LAST_TOKEN}, with commas between them; "
                "-1 stands for all signs that are not spoken"
            )
        return suppress_tokens

    @field_validator("initial_prompt", "vocabulary")
    @classmethod
    def _is_plain_text(cls, told: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        if any(_CONTROL_SIGN in text for text in ([told] if isinstance(told, str) else told or ())):
            raise ValueError(f'leave out "{_CONTROL_SIGN}": Whisper\'s own signs begin so, and may not be told to it')
        return told

    @field_validator("formats")
    @classmethod
    def _writes_something(cls, formats: tuple[Format, ...]) -> tuple[Format, ...]:
        if not formats:
            raise ValueError("name at least one")
        return formats

    @field_validator("vocabulary")
    @classmethod
    def _leaves_room(cls, vocabulary: tuple[str, ...]) -> tuple[str, ...]:
        length = len(", ".join(vocabulary))
        if length > _LONGEST_VOCABULARY:
            raise ValueError(
                f"Whisper can be told {_LONGEST_VOCABULARY} characters of names and terms; these are {length}"
            )
        return vocabulary

    @field_validator("language")
    @classmethod
    def _is_a_language(cls, language: str | None) -> str | None:
        said = (language or _HEARD).strip().lower()
        if said == _HEARD:
            return None
        code = catalogue.language_code(said)
        if code is None:
            raise ValueError(
                f'Whisper knows no language {language!r}; write a code such as "en", or "auto": it is heard'
            )
        return code

    @model_validator(mode="after")
    def _has_words_where_it_needs_them(self) -> "TranscribeOptions":
        needing = ("hallucination_silence_threshold", "highlight_words", "max_line_width", "max_line_count")
        wanted = [name for name in (*needing, "max_words_per_line") if getattr(self, name)]
        if wanted and not self.word_timestamps:
            raise ValueError(f"{', '.join(wanted)}: set word_timestamps = true as well")
        return self

    @model_validator(mode="after")
    def _cuts_its_lines(self) -> "TranscribeOptions":
        if self.max_line_count and not self.max_line_width:
            raise ValueError("max_line_count counts lines of max_line_width: set that as well")
        if self.max_words_per_line and self.max_line_count:
            raise ValueError("max_words_per_line does nothing beside max_line_count: leave one of them out")
        return self

    @model_validator(mode="after")
    def _keeps_a_candidate(self) -> "TranscribeOptions":
        if self.beams and self.patience and round(self.beams * self.patience) < 1:
            raise ValueError(f"patience = {self.patience:g} ends the search before it begins: raise it, 1 is usual")
        return self

    @model_validator(mode="after")
    def _knows_its_language(self) -> "TranscribeOptions":
        if self.multilingual and (self.language or not self.vad):
            raise ValueError(
                "multilingual = true hears the language of what is spoken: leave out `language`, and vad = false"
            )
        return self

    @model_validator(mode="after")
    def _hears_where_it_cuts(self) -> "TranscribeOptions":
        if self.way == "fast" and not self.vad:
            raise ValueError('way = "fast" decodes only what the voice detector finds: leave out vad = false')
        if self.way == "fast" and self.hallucination_silence_threshold:
            raise ValueError(
                'way = "fast" does not decode silence, and has no hallucination_silence_threshold: leave it out, '
                'or set way = "exact"'
            )
        return self

    @property
    def clips(self) -> tuple[tuple[float, float], ...]:
        """Starts and ends; the last end may be missing, as in openai-whisper: to the end. Empty: the whole file."""
        points = (*self.clip_timestamps, float("inf")) if len(self.clip_timestamps) % 2 else self.clip_timestamps
        return tuple(zip(points[::2], points[1::2], strict=True))

    @property
    def fixed_prompt(self) -> str | None:
        """The prompt of the first window or, if `repeats_prompt`, the start of each one's."""
        names = f"{', '.join(self.vocabulary)}." if self.vocabulary else None
        return " ".join(filter(None, (names, self.initial_prompt))) or None

    @property
    def repeats_prompt(self) -> bool:
        return self.carry_initial_prompt or bool(self.vocabulary)

    @property
    def temperatures(self) -> tuple[float, ...]:
        """From cold to hot."""
        return self.temperature if isinstance(self.temperature, tuple) else (self.temperature,)

    @property
    def beams(self) -> int | None:
        """None: greedy, which is what one beam comes to."""
        return None if self.beam_size == 1 else self.beam_size
