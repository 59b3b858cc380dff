"""Options of `[processors.whisper]` and its recipes. The daemon imports this module, so it imports nothing heavy."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from processors.contract import RecipeOptions
from processors.options import DEVICES, MAX_AT_ONCE, MAX_THREADS
from processors.remote import ServerOptions
from processors.whisper.option_values import (
    MAX_BEAMS,
    MAX_LINE,
    MAX_SECONDS,
    Clips,
    Formats,
    Language,
    Languages,
    Prompt,
    SpeakerRange,
    Speakers,
    Temperature,
    Tokens,
    TrackNumber,
    Vocabulary,
)
from processors.whisper.weights import catalog

_TRACK = r"^[A-Za-z]{2,20}(-[A-Za-z0-9]{2,8})*$"  # "default", "all", or a language


class WhisperOptions(ServerOptions):
    """`[processors.whisper]`"""

    # openai: a server, at base_url; transformers: Parakeet, Canary, Moonshine
    engine: Literal["openai-whisper", "faster-whisper", "openai", "transformers"] = "openai-whisper"
    model: str = "turbo"  # a model name of openai-whisper, or the path of a checkpoint (.pt); else of the engine
    # auto: CUDA if available
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description=DEVICES)
    # auto: float16 on a GPU, float32 on the CPU; fast mode encodes in bfloat16 there if that is faster
    dtype: Literal["auto", "float32", "bfloat16", "float16", "int8"] = "auto"
    threads: int | None = Field(default=None, ge=1, le=MAX_THREADS)  # of the CPU; None: torch decides
    compute_type: str = "auto"  # of faster-whisper: "int8", "float32", "float16"; auto: int8, on a GPU float16
    max_batch: int = Field(default=8, ge=1, le=MAX_AT_ONCE)  # files whose windows are decoded together

    @model_validator(mode="after")
    def _check_model(self) -> "WhisperOptions":
        if self.engine == "openai-whisper" and self.model not in catalog.NAMES and not self.model.endswith(".pt"):
            raise ValueError(
                f"unknown Whisper model {self.model!r}: write the path of a .pt file, or {', '.join(catalog.NAMES)}"
            )
        if self.engine == "transformers" and self.model in catalog.NAMES:
            raise ValueError(
                f'{self.model} is a model of Whisper: with engine = "transformers", set `model` to a folder, or to a '
                'name on Hugging Face, such as "nvidia/parakeet-tdt-0.6b-v3"'
            )
        return self

    @model_validator(mode="after")
    def _check_timeout(self) -> "WhisperOptions":
        if self.engine == "openai" and self.request_timeout >= self.timeout:
            raise ValueError(
                f"timeout = {self.timeout:g} s stops a job before its server's request_timeout = "
                f"{self.request_timeout:g} s is over: raise `timeout`, or lower `request_timeout`"
            )
        return self


class TranscribeOptions(RecipeOptions):
    """`[recipes.NAME]`: names and defaults are those of the `whisper` command unless a comment gives a reason."""

    model_config = ConfigDict(allow_inf_nan=False)
    only_in_config: ClassVar[frozenset[str]] = frozenset({"voices"})  # it can name any folder

    # exact: as in openai-whisper, window after window, each with the text before it; the text is the same as there.
    # fast: speech only, cut at pauses, all windows at once and without the text before them
    way: Literal["exact", "fast"] = "exact"
    cut_context: bool = True  # fast: encode little more than the speech, not 30 s; doubtful windows again in full
    vad: bool = True  # voice activity detection: omit text where nobody speaks
    # translate: into English; both: the transcript, and beside it the translation
    task: Literal["transcribe", "translate", "both"] = "transcribe"
    language: Language = None  # a code such as "de", or a name; "auto", None: detected in the first half minute
    languages: Languages = ()  # those to choose from; (): all
    multilingual: bool = False  # detect the language every 15 s of speech, and transcribe each stretch in its own
    # names and terms to expect, in the prompt of every window (not in the command)
    vocabulary: Vocabulary = ()
    initial_prompt: Prompt = None  # text before the sound, or in its style
    carry_initial_prompt: bool = False  # repeat it for every window
    condition_on_previous_text: bool = True  # False: less consistent, but errors do not propagate
    temperature: Temperature = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # tried in turn until a window is good
    beam_size: int | None = Field(default=5, ge=1, le=MAX_BEAMS)  # at temperature 0; 1 or None: greedy, twice as fast
    best_of: int | None = Field(default=5, ge=1, le=MAX_BEAMS)  # samples above temperature 0
    patience: float | None = Field(default=None, gt=0, le=100)
    length_penalty: float | None = Field(default=None, ge=0, le=1)
    suppress_tokens: Tokens = "-1"  # token numbers; -1: those of symbols that are not spoken
    # above: the text repeats itself, try the next temperature
    compression_ratio_threshold: float | None = Field(default=2.4, gt=0, le=1000)
    logprob_threshold: float | None = Field(default=-1.0, ge=-1000, le=0)  # below: unsure, try the next temperature
    no_speech_threshold: float | None = Field(default=0.6, ge=0, le=1)  # above, and unsure: silence
    clip_timestamps: Clips = ()  # "start,end,…"; "": all of it
    # which sound track of a film: "default" as in players, but no commentary; a number; a language such as "eng";
    # "all": each one, with its number before its words
    track: TrackNumber | Annotated[str, Field(pattern=_TRACK)] = "default"
    # each: transcribe every channel separately, for speakers with a microphone each
    channel: Literal["mix", "each"] | TrackNumber = "mix"
    # who speaks, on one microphone: "auto", a number, {min, max}, or their names in order of appearance; with
    # channel = "each" or track = "all": the names of the channels or tracks
    speakers: Speakers = None
    # a folder beside config.toml with voice samples, such as Anna.wav, from which inboxd learns the speakers' names
    voices: str | None = Field(default=None, min_length=1)
    word_timestamps: bool = False
    # seconds; needs word_timestamps
    hallucination_silence_threshold: float | None = Field(default=None, gt=0, le=MAX_SECONDS)
    # readable: at most two lines of 42 and 7 s, cut at phrases, long enough to read them; segments: as in the command
    subtitles: Literal["readable", "segments"] = "readable"
    language_in_name: bool = False  # NAME.en.srt and NAME.en.vtt: players show the language
    highlight_words: bool = False  # these four format subtitles and need word_timestamps
    max_line_width: int | None = Field(default=None, ge=1, le=MAX_LINE)
    max_line_count: int | None = Field(default=None, ge=1, le=MAX_LINE)
    max_words_per_line: int | None = Field(default=None, ge=1, le=MAX_LINE)
    # the first one is the main result
    formats: Formats = ("txt", "srt", "vtt", "tsv", "json")

    @field_validator("voices")
    @classmethod
    def _find_voices(cls, voices: str | None, info: ValidationInfo) -> str | None:
        """Replace the name of the folder by its path."""
        if voices is None or info.context is None:
            return voices
        home, folder = info.context.get("home"), Path(voices).expanduser()
        if home is None and not folder.is_absolute():
            raise ValueError("set it in a recipe, or write the absolute path of a folder")
        folder = (home or Path()) / folder
        if not folder.is_dir():
            raise ValueError(f"{folder} is not a folder: create it, and copy a recording of each person there")
        return str(folder.resolve())

    @model_validator(mode="after")
    def _check_languages(self) -> "TranscribeOptions":
        if self.language and self.languages:
            raise ValueError("`language` sets one, `languages` those to choose from: leave one of them out")
        return self

    @model_validator(mode="after")
    def _check_word_timestamps(self) -> "TranscribeOptions":
        needing = ("hallucination_silence_threshold", "highlight_words", "max_line_width", "max_line_count")
        wanted = [name for name in (*needing, "max_words_per_line") if getattr(self, name)]
        if wanted and not self.word_timestamps:
            raise ValueError(f"{', '.join(wanted)}: set word_timestamps = true as well")
        return self

    @model_validator(mode="after")
    def _check_lines(self) -> "TranscribeOptions":
        if self.max_line_count and not self.max_line_width:
            raise ValueError("max_line_count counts lines of max_line_width: set that as well")
        if self.max_words_per_line and self.max_line_count:
            raise ValueError("max_words_per_line has no effect with max_line_count: leave one of them out")
        return self

    @model_validator(mode="after")
    def _check_tracks(self) -> "TranscribeOptions":
        if self.track == "all" and self.channel == "each":
            raise ValueError('track = "all" and channel = "each" exclude each other: leave one of them out')
        return self

    @model_validator(mode="after")
    def _check_speakers(self) -> "TranscribeOptions":
        if self.speakers == ():
            raise ValueError('speakers: name at least one, or write "auto"')
        if self.speakers is not None and self.is_labeled and not isinstance(self.speakers, tuple):
            raise ValueError('with channel = "each" or track = "all", `speakers` can only name them: ["Anna", "Ben"]')
        if self.voices and (self.is_labeled or isinstance(self.speakers, tuple)):
            raise ValueError(
                "`voices` finds the names of the speakers: leave out their names, and `channel` or `track`"
            )
        if self.finds_speakers and not self.vad:
            raise ValueError("`speakers` needs the voice detector: leave out vad = false")
        return self

    @model_validator(mode="after")
    def _check_patience(self) -> "TranscribeOptions":
        if self.beams and self.patience and round(self.beams * self.patience) < 1:
            raise ValueError(f"patience = {self.patience:g} ends the search before it starts: raise it (1 is usual)")
        return self

    @model_validator(mode="after")
    def _check_multilingual(self) -> "TranscribeOptions":
        if self.multilingual and (self.language or not self.vad):
            raise ValueError(
                "multilingual = true detects the language of the speech: leave out `language`, and vad = false"
            )
        return self

    @model_validator(mode="after")
    def _check_fast_mode(self) -> "TranscribeOptions":
        if self.way == "fast" and not self.vad:
            raise ValueError('way = "fast" decodes only what the voice detector finds: leave out vad = false')
        if self.way == "fast" and self.hallucination_silence_threshold:
            raise ValueError(
                'hallucination_silence_threshold has no effect with way = "fast", which does not decode silence: leave '
                'it out, or set way = "exact"'
            )
        return self

    @property
    def clips(self) -> tuple[tuple[float, float], ...]:
        """Starts and ends in seconds; an omitted last end is infinite, as in openai-whisper. Empty: the complete
        file."""
        points = (*self.clip_timestamps, float("inf")) if len(self.clip_timestamps) % 2 else self.clip_timestamps
        return tuple(zip(points[::2], points[1::2], strict=True))

    @property
    def finds_speakers(self) -> bool:
        """True if inboxd distinguishes speakers by their voices."""
        return (self.speakers is not None or self.voices is not None) and not self.is_labeled

    @property
    def speaker_names(self) -> tuple[str, ...]:
        """In order of appearance, or of channels."""
        return self.speakers if isinstance(self.speakers, tuple) else ()

    @property
    def speaker_count(self) -> tuple[int, int | None]:
        """The least and the largest number of speakers; None: as many as there are."""
        match self.speakers:
            case int(number):
                return number, number
            case SpeakerRange(min=least, max=most):
                return least, most
            case tuple(names):
                return len(names), len(names)
        return 1, None

    @property
    def has_readable_subtitles(self) -> bool:
        """True unless the options ask for the lines of the `whisper` command."""
        return self.subtitles == "readable" and not (
            self.max_line_width or self.max_line_count or self.max_words_per_line
        )

    @property
    def only_language(self) -> str | None:
        """The language that the options set; None: it is detected."""
        return self.languages[0] if len(self.languages) == 1 and not self.multilingual else self.language

    @property
    def is_labeled(self) -> bool:
        """True if every channel or track is transcribed separately, with its number before its words."""
        return self.channel == "each" or self.track == "all"

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
        """The temperatures in the order in which they are tried, increasing."""
        return self.temperature if isinstance(self.temperature, tuple) else (self.temperature,)

    @property
    def beams(self) -> int | None:
        """The number of beams; None: greedy decoding, which equals one beam."""
        return None if self.beam_size == 1 else self.beam_size
