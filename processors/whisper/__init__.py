"""Speech to text with Whisper: any sound or video file in, a transcript and subtitles out.

    [inbox]
    audio = "transcribe"

    [recipes.transcribe]
    processor = "whisper"

    [processors.whisper]
    model = "turbo"

The daemon imports this module to check its configuration, so it imports nothing heavy: torch, whisper and PyAV are
imported when a worker loads the model.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from processors import extras
from processors.contract import (
    Failed,
    Finished,
    GpuUse,
    JobError,
    Kind,
    Loaded,
    NotReady,
    Outcome,
    Plan,
    Processor,
    Progress,
    Runnable,
    Work,
)
from processors.vlm.engine import weights as hub_weights
from processors.whisper import speech_families
from processors.whisper.options import TranscribeOptions, WhisperOptions
from processors.whisper.weights import catalog

if TYPE_CHECKING:
    from processors.whisper.speakers.embeddings import VoiceEncoder
    from processors.whisper.track.engine import Engine
    from processors.whisper.track.interleaving import Task

_EXTRAS = {"faster-whisper": ("speech", "faster-whisper"), "transformers": ("speech", "vlm")}  # by engine
_SHARE_OF_WINDOWS = 0.5  # estimated memory of a batch beside the weights, as a share of their size

__all__ = ["TranscribeOptions", "Whisper", "WhisperOptions", "processor"]


class Whisper(Processor[WhisperOptions, TranscribeOptions]):
    name = "whisper"
    kinds = frozenset({Kind.AUDIO})
    Options = WhisperOptions
    Recipe = TranscribeOptions

    @classmethod
    def plan(cls, options: WhisperOptions, recipe: TranscribeOptions, models: Path) -> Plan:
        needed = _EXTRAS.get(options.engine, ("speech",))
        if why := extras.why_missing(*needed, python=options.python):
            return NotReady(why=why, lacks_extra=True)
        if options.engine == "openai":
            return Runnable()
        if options.engine == "transformers":
            why = _why_not_in_transformers(options, recipe, models)
            return NotReady(why=why) if why else Runnable()
        if options.model.endswith(".pt") and not Path(options.model).expanduser().is_file():
            return NotReady(
                why=f"The Whisper checkpoint {options.model} does not exist: correct `model`, or copy the file there."
            )
        model = Path(options.model).name.removesuffix(".pt")
        if model.endswith(".en") and (other := _other_than_english(recipe)):
            return NotReady(
                why=f'The model {model} supports English only: set model = "{model[:-3]}" in [processors.whisper] of '
                f"config.toml, or {other} in the recipe or in the file's own options."
            )
        return Runnable()

    @classmethod
    def estimate_memory(cls, options: WhisperOptions, models: Path) -> int:
        if options.engine == "openai":
            return 0
        if options.engine == "transformers":
            found = hub_weights.find(options.model, models)
            return int(hub_weights.size_bytes(found) * (1 + _SHARE_OF_WINDOWS)) if found else 0
        return catalog.memory_bytes(Path(options.model).name.removesuffix(".pt"))

    @classmethod
    def gpu_use(cls, options: WhisperOptions) -> GpuUse:
        return GpuUse.NONE if options.engine == "openai" else super().gpu_use(options)

    @classmethod
    def weights_to_fetch(cls, options: WhisperOptions, models: Path) -> str:
        from processors.models import hub
        from processors.whisper.weights import source

        name = options.model
        if options.engine == "transformers":
            return name if hub.is_name(name) and hub_weights.find(name, models) is None else ""
        if options.engine != "openai-whisper" or name.endswith(".pt"):
            return ""
        return "" if source.find(name, models) or source.is_in_package(name) else name

    def load(self, options: WhisperOptions, models: Path, progress: Progress) -> Loaded:
        from processors.whisper.audio import vad
        from processors.whisper.decoder import mapped
        from processors.whisper.speakers.samples import VoiceSamples

        self._engine = _engine(options, models, progress)
        self._detector = vad.Detector()
        self._voice_samples = VoiceSamples(self._detector)
        self._models = models
        self._encoder: VoiceEncoder | None = None  # loaded when the first recipe needs it
        engine = self._engine
        mapped.release_code()
        return Loaded(
            engine=engine.name,
            model=options.model,
            device=engine.device_name,
            takes_more_jobs=engine.takes_more_jobs,
        )

    def process(
        self, batch: Sequence[Work[TranscribeOptions]], progress: Progress
    ) -> Iterator[tuple[Work[TranscribeOptions], Outcome | Exception]]:
        """Transcribe all jobs at the same time, with windows of several jobs in one batch; new jobs may join."""
        works: dict[int, Work[TranscribeOptions]] = {}

        def tasks(arrived: Iterable[Work[TranscribeOptions]]) -> "Iterator[Task[Finished]]":
            for work in arrived:
                works[next(numbers)] = work
                yield self._task(work, progress)

        numbers = count()
        for number, outcome in self._engine.run(tasks(batch), lambda: tasks(self.poll_new_jobs())):
            failed = Failed(kind=outcome.kind, message=str(outcome)) if isinstance(outcome, JobError) else None
            yield works.pop(number), failed or outcome

    def process_one(self, work: Work[TranscribeOptions], progress: Progress) -> Finished:
        ((_, outcome),) = self._engine.run([self._task(work, progress)])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _task(self, work: Work[TranscribeOptions], progress: Progress) -> "Task[Finished]":
        from processors.whisper.job import Models, transcribe
        from processors.whisper.speakers import weights

        def load_encoder() -> "VoiceEncoder":
            if self._encoder is None:
                self._encoder = weights.load_encoder(self._models, progress)
            return self._encoder

        models = Models(
            engine=self._engine,
            detector=self._detector,
            load_encoder=load_encoder,
            voice_samples=self._voice_samples,
        )
        return transcribe(work, models, progress)


def _other_than_english(recipe: TranscribeOptions) -> str:
    """The settings to change so that an English-only model suffices; "": it suffices already."""
    fixes = (
        ('task = "transcribe"', recipe.task != "transcribe"),
        ("multilingual = false", recipe.multilingual),
        ('language = "en"', "en" not in (recipe.languages or (recipe.language or "en",))),
    )
    return " and ".join(fix for fix, is_needed in fixes if is_needed)


def _why_not_in_transformers(options: WhisperOptions, recipe: TranscribeOptions, models: Path) -> str:
    """Why a model of transformers cannot do what a recipe asks, or is not there; "": it can."""
    folder = hub_weights.find(options.model, models)
    if folder is None:
        return hub_weights.why_missing(options.model, models)
    family = speech_families.family_of(folder)
    if family is None:
        return speech_families.why_not_a_model(folder)
    return speech_families.why_unable(family, options.model, recipe)


def _engine(options: WhisperOptions, models: Path, progress: Progress) -> "Engine":
    match options.engine:
        case "openai":
            from processors.whisper.engines.openai_api import ServerEngine

            return ServerEngine.load(options)
        case "faster-whisper":
            from processors.whisper.engines.faster_whisper import FasterWhisperEngine

            return FasterWhisperEngine.load(options, models)
        case "transformers":
            from processors.whisper.engines.transformers_models import TransformersSpeechEngine

            return TransformersSpeechEngine.load(options, models, progress)
    from processors.whisper.engines.openai_whisper import OpenAIWhisperEngine

    return OpenAIWhisperEngine.load(options, models, progress)


processor = Whisper
