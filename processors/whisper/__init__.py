"""Speech to text with Whisper: any sound or video file in, a transcript and subtitles out.

    [inbox]
    audio = "transcribe"

    [recipes.transcribe]
    processor = "whisper"

    [processors.whisper]
    model = "turbo"

Imported by the daemon to check its configuration, so nothing heavy is imported here: `engine` (torch, whisper) and
`sound` (PyAV) are imported once a worker loads.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from processors.base import (
    BadInput,
    Failed,
    Finished,
    Kind,
    Loaded,
    Missing,
    Options,
    Outcome,
    Plan,
    Processor,
    Progress,
    Ready,
    RecipeOptions,
    Unavailable,
    Work,
)
from processors.whisper import catalogue

Format = Literal["txt", "srt", "vtt", "tsv", "json"]

_EXCERPT_CHARACTERS = 200


class WhisperOptions(Options):
    """`[processors.whisper]`"""

    engine: Literal["openai-whisper"] = "openai-whisper"
    model: str = "turbo"  # a name of openai-whisper, or the path of a checkpoint (.pt)
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")  # auto: CUDA if there is any
    threads: int | None = Field(default=None, ge=1)  # on the CPU; None: torch decides
    max_batch: int = Field(default=8, ge=1)  # files whose windows are decoded together

    @field_validator("model")
    @classmethod
    def _is_known(cls, model: str) -> str:
        if model not in catalogue.NAMES and not model.endswith(".pt"):
            raise ValueError(
                f"no Whisper model {model!r}: write the path of a .pt file, or {', '.join(catalogue.NAMES)}"
            )
        return model


class TranscribeOptions(RecipeOptions):
    """`[recipes.NAME]`: names and defaults are those of the `whisper` command, except where a comment says why not."""

    task: Literal["transcribe", "translate"] = "transcribe"  # translate: into English
    language: str | None = None  # a code such as "de", or a name; None: heard from the first half minute of sound
    initial_prompt: str | None = None  # names and terms to expect
    carry_initial_prompt: bool = False  # repeat it for every window
    condition_on_previous_text: bool = True  # False: less consistent, but no error is carried on
    temperature: float | tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # tried in turn until a window is good
    beam_size: int | None = Field(default=5, ge=1)  # at temperature 0; None: greedy, twice as fast
    best_of: int | None = Field(default=5, ge=1)  # samples above temperature 0
    patience: float | None = None
    length_penalty: float | None = Field(default=None, ge=0, le=1)
    suppress_tokens: str | None = "-1"
    compression_ratio_threshold: float | None = 2.4  # above: the text repeats itself, try the next temperature
    logprob_threshold: float | None = -1.0  # below: unsure, try the next temperature
    no_speech_threshold: float | None = 0.6  # above, and unsure: silence
    # exact: openai-whisper's own way, window after window, each with the text before it; the same text as there.
    # fast: what is spoken, cut at pauses, all windows at once and without the text before them
    way: Literal["exact", "fast"] = "exact"
    cut_context: bool = True  # fast: the encoder sees little more than the window, not 30 s; doubtful ones again whole
    vad: bool = True  # a voice detector tells where nobody speaks: no text is believed there
    word_timestamps: bool = False
    hallucination_silence_threshold: float | None = None  # seconds; needs word_timestamps
    highlight_words: bool = False  # these four shape subtitles and need word_timestamps
    max_line_width: int | None = Field(default=None, ge=1)
    max_line_count: int | None = Field(default=None, ge=1)
    max_words_per_line: int | None = Field(default=None, ge=1)
    formats: tuple[Format, ...] = Field(default=("txt", "srt", "vtt", "tsv", "json"), min_length=1)  # first: to open

    @field_validator("language")
    @classmethod
    def _is_a_language(cls, language: str | None) -> str | None:
        codes = {name: code for code, name in catalogue.LANGUAGES.items()}
        if language is None or language.lower() in catalogue.LANGUAGES:
            return language and language.lower()
        if language.lower() not in codes:
            raise ValueError(f'Whisper knows no language {language!r}; write a code such as "en", or leave it out')
        return codes[language.lower()]

    @model_validator(mode="after")
    def _has_words_where_it_needs_them(self) -> "TranscribeOptions":
        needing = ("hallucination_silence_threshold", "highlight_words", "max_line_width", "max_line_count")
        wanted = [name for name in (*needing, "max_words_per_line") if getattr(self, name)]
        if wanted and not self.word_timestamps:
            raise ValueError(f"{', '.join(wanted)}: set word_timestamps = true as well")
        return self

    @model_validator(mode="after")
    def _hears_where_it_cuts(self) -> "TranscribeOptions":
        if self.way == "fast" and not self.vad:
            raise ValueError('way = "fast" decodes only what the voice detector finds: leave out vad = false')
        return self


class Whisper(Processor):
    name = "whisper"
    kinds = frozenset({Kind.AUDIO})
    Options = WhisperOptions
    Recipe = TranscribeOptions

    @classmethod
    def plan(cls, options: WhisperOptions, recipe: TranscribeOptions, models: Path) -> Plan:
        if options.model.endswith(".pt") and not Path(options.model).expanduser().is_file():
            return Missing(
                why=f"The Whisper checkpoint {options.model} is not there: correct `model`, or put it there."
            )
        model = Path(options.model).name.removesuffix(".pt")
        if model.endswith(".en") and (recipe.task == "translate" or recipe.language not in {None, "en"}):
            return Missing(why=f'The model {model} knows English only: set model = "{model[:-3]}".')
        return Ready()

    @classmethod
    def estimate_memory(cls, options: WhisperOptions, models: Path) -> int:
        return catalogue.memory_bytes(Path(options.model).name.removesuffix(".pt"))

    @classmethod
    def weights_to_fetch(cls, options: WhisperOptions, models: Path) -> str:
        from processors.whisper import weights

        name = options.model
        return "" if name.endswith(".pt") or weights.find(name, models) or weights.is_carried(name) else name

    def load(self, options: WhisperOptions, models: Path, progress: Progress) -> Loaded:
        from processors.whisper.engine import Engine

        self._engine = Engine.load(options, models, progress)
        return Loaded(engine="openai-whisper", model=options.model, device=self._engine.device_name)

    def process(self, batch: Sequence[Work], progress: Progress) -> Iterator[tuple[Work, Outcome]]:
        """The windows of all jobs are decoded together. A job that fails unforeseen is raised when all have ended."""
        unforeseen: Exception | None = None
        for number, outcome in self._engine.run([partial(self._transcribe, work, progress) for work in batch]):
            match outcome:
                case BadInput() | Unavailable():
                    yield batch[number], Failed(kind=outcome.kind, message=str(outcome))
                case Exception():
                    unforeseen = outcome
                case _:
                    yield batch[number], outcome
        if unforeseen:
            raise unforeseen

    def process_one(self, work: Work, progress: Progress) -> Finished:
        ((_, outcome),) = self._engine.run([partial(self._transcribe, work, progress)])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _transcribe(self, work: Work, progress: Progress, ask: Callable) -> Finished:
        from processors.whisper import review, sound, transcript

        with sound.open_track(work.source) as track:

            def tell(seconds: float) -> None:
                total = None if track.declared_seconds is None else max(seconds, track.declared_seconds)
                progress.job(work, done=seconds, total=total, unit="seconds")

            found = self._engine.transcribe(track, work.options, ask, tell)
        files = transcript.write(found, work.outputs, work.stem, work.options)
        return Finished(
            files=files,
            excerpt=found.text[:_EXCERPT_CHARACTERS],
            review=review.reasons(found, work.options),
            media_seconds=found.seconds,
            details={
                "language": found.language,
                "language_probability": found.language_probability,
                "declared_seconds": found.declared_seconds,
                "sound_tracks": found.tracks,
                "gaps": [vars(gap) for gap in found.gaps],
                "dropped_as_invented": [segment["text"].strip() for segment in found.dropped],
            },
        )


processor = Whisper
