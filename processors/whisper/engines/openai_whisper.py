"""openai-whisper over the parts of sound tracks, in two modes: `exact` and `fast`."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
import whisper
from whisper.audio import N_SAMPLES, log_mel_spectrogram, pad_or_trim
from whisper.decoding import DecodingResult
from whisper.model import ModelDimensions, Whisper
from whisper.tokenizer import get_tokenizer
from whisper.version import __version__ as whisper_version

from processors import malloc, torch_device
from processors.contract import BadInput, JobError, Progress, Unavailable
from processors.whisper.audio.parts import Sound
from processors.whisper.decoder import kernels
from processors.whisper.engines import exact
from processors.whisper.engines.batch_runner import BatchRunner
from processors.whisper.engines.fair_batches import FairBatches
from processors.whisper.engines.fast import FastMode
from processors.whisper.engines.window import Decoding, Window
from processors.whisper.options import WhisperOptions
from processors.whisper.track import interleaving
from processors.whisper.track.engine import PartRequest, PartResult
from processors.whisper.track.interleaving import ResultT, Task
from processors.whisper.track.segment import Segment
from processors.whisper.weights import catalog, source


class OpenAIWhisperEngine:
    """One loaded model. See `track.engine.Engine`."""

    name = "openai-whisper"
    takes_more_jobs = True

    def __init__(self, model: Whisper, name: str, dtype: str = "auto"):
        """dtype: precision of the windows, see `WhisperOptions`.

        Raises:
            Unavailable: the model's device does not support it.
        """
        self._model = model
        self.knows_english_only = not model.is_multilingual
        self.is_elsewhere = model.device.type == "cuda"
        self._may_use_bfloat16 = dtype == "auto"
        dtype = choose_dtype(dtype, model.device)
        self._runner = BatchRunner(model, *precision(dtype, model.device))
        self.made_by = {"engine": self.name, "version": whisper_version, "model": name, "dtype": dtype}

    @classmethod
    def load(cls, options: WhisperOptions, models: Path, progress: Progress) -> "OpenAIWhisperEngine":
        """The model of `options`, downloaded first if necessary.

        Raises:
            Unavailable: there is no such device, or it does not support the precision; or the weights are missing or
                damaged.
        """
        malloc.share()
        kernels.limit_compiled()
        if options.threads:
            torch.set_num_threads(options.threads)
        device = choose_device(options.device)
        checkpoint = source.load(options.model, models, progress)
        try:
            model = Whisper(ModelDimensions(**checkpoint["dims"]))
            adopt_weights(model, checkpoint["model_state_dict"])
        except (KeyError, TypeError, RuntimeError) as error:
            raise Unavailable(f"{options.model} is not an openai-whisper checkpoint: {error}") from error
        heads = whisper._ALIGNMENT_HEADS.get(catalog.canonical(Path(options.model).name.removesuffix(".pt")))
        if heads:
            model.set_alignment_heads(
                heads
            )  # default: all heads of the later layers, whose word times are less accurate
        if device.type != "cpu":
            share_weights(model, precision(choose_dtype(options.dtype, device), device)[0])
        return cls(model.to(device).eval(), options.model, options.dtype)

    @property
    def device_name(self) -> str:
        return torch_device.device_name(self._model.device)

    def run(
        self, tasks: Iterable[Task[ResultT]], more: Callable[[], Iterable[Task[ResultT]]] = tuple
    ) -> Iterator[tuple[int, ResultT | Exception]]:
        """Decode the windows of all tasks together."""
        batches = FairBatches(self._runner.decode, lambda window: window.kind, self._runner.at_once)
        return interleaving.run(tasks, batches.answer, more)

    def detect_language(self, samples: Sound, among: Sequence[str] = ()) -> tuple[str, float | None]:
        if not self._model.is_multilingual:
            return "en", None
        first = torch.from_numpy(pad_or_trim(samples[:N_SAMPLES])).to(self._model.device)
        mel = log_mel_spectrogram(first, self._model.dims.n_mels)
        mels = mel[None].to(torch.float16 if self.is_elsewhere else torch.float32)
        probabilities: dict[str, float]
        _, (probabilities,) = self._model.detect_language(mels)
        language = max(among or probabilities, key=lambda code: probabilities.get(code, 0.0))
        return language, round(probabilities.get(language, 0.0), 4)

    def transcribe(self, request: PartRequest) -> Decoding[PartResult]:
        self._check_vocabulary(request.options.vocabulary)
        if not self.is_elsewhere:
            malloc.give_back()  # what decoding the sound of the part left: up to 40 MB
        language = request.language or self.detect_language(request.samples)[0]
        segments = yield from interleaving.intercept(self._segments(request, language), self._decode)
        return PartResult(segments=segments)

    def _segments(self, request: PartRequest, language: str) -> Decoding[list[Segment]]:
        if request.options.way == "fast":
            in_bfloat16 = self._may_use_bfloat16 and self._runner.has_bfloat16_encoder
            return FastMode(self._model, request, language, in_bfloat16).transcribe()
        return exact.transcribe(self._model, request, language)

    def _decode(self, windows: Sequence[Window]) -> Decoding[Sequence[DecodingResult]]:
        """Check the options here, so that an error concerns this job only.

        Raises:
            Exception: what whisper raises for options that it cannot decode with.
            JobError: the model computed NaN.
        """
        self._runner.check(windows)
        return _without_nan((yield windows))

    def _check_vocabulary(self, names: Sequence[str]) -> None:
        """
        Raises:
            BadInput: it is longer than a prompt of Whisper, of which only the end is read.
        """
        if not names:
            return
        tokenizer = get_tokenizer(self._model.is_multilingual, num_languages=self._model.num_languages)
        count, limit = len(tokenizer.encode(" " + ", ".join(names) + ".")), self._model.dims.n_text_ctx // 2 - 1
        if count > limit:
            raise BadInput(
                f"The vocabulary has {count} tokens, more than Whisper's limit of {limit}. A token is about four "
                "letters of English, but less than one letter in some scripts. Leave out the less important names."
            )


def _without_nan(results: Sequence[DecodingResult]) -> Sequence[DecodingResult]:
    """Return the results unchanged.

    Raises:
        JobError: the model computed NaN. Higher temperatures would sample meaningless words.
    """
    if any(math.isnan(result.avg_logprob) for result in results):
        raise JobError(
            "Unreliable transcription: the token probabilities are NaN. Set "
            'dtype = "float32" in [processors.whisper]; if that does not help, fetch the weights again.'
        )
    return results


def choose_dtype(wanted: str, device: torch.device) -> str:
    """The precision named `wanted`; "auto" is float32 on the CPU, else float16."""
    if wanted != "auto":
        return wanted
    return "float32" if device.type == "cpu" else "float16"


def adopt_weights(model: Whisper, state: Mapping[str, torch.Tensor]) -> None:
    """Use the tensors of a checkpoint without copying them: they may be a file that is mapped into memory, in
    float16. Our layers have converted copies of what they compute with; whisper converts weights to the type of each
    input itself, except in LayerNorm, and except where it adds positions.

    Raises:
        RuntimeError: they are those of another model.
    """
    model.load_state_dict(state, assign=True)
    decoder = model.decoder
    decoder.positional_embedding = torch.nn.Parameter(decoder.positional_embedding.float())
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.float()


def share_weights(model: Whisper, dtype: torch.dtype) -> None:
    """Convert the large weights of `model` in place, before it reaches a GPU: our layers then use the same memory
    (large-v3: 6.2 GB less). whisper converts them to the type of each input itself, except in LayerNorm, which stays
    in float32."""
    for module in model.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv1d | torch.nn.Embedding):
            module.to(dtype)


def precision(dtype: str, device: torch.device) -> tuple[torch.dtype, bool]:
    """The type of the numbers, and whether linear layers round them to 8 bits.

    Raises:
        Unavailable: the device does not support it.
    """
    if dtype != "int8":
        return getattr(torch, dtype), False
    if device.type != "cpu":
        raise Unavailable(
            f'dtype = "int8" works on the CPU only, not on {device}. Remove it from [processors.whisper], or set '
            'device = "cpu" there.'
        )
    return torch.float32, True


def choose_device(wanted: str) -> torch.device:
    """The device named `wanted`; "auto" is CUDA if available.

    Raises:
        Unavailable: there is no such CUDA device.
    """
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(wanted)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise Unavailable(f'This machine has no CUDA device "{wanted}": set device = "auto", or check the driver.')
    return device
