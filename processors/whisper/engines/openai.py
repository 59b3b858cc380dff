"""openai-whisper over the parts of sound tracks, in two ways: its own `transcribe`, or windows cut at pauses."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
import whisper
from whisper.audio import N_SAMPLES, log_mel_spectrogram, pad_or_trim
from whisper.decoding import DecodingResult
from whisper.model import Whisper
from whisper.tokenizer import get_tokenizer

from processors import malloc
from processors.contract import BadInput, JobError, Progress, Unavailable
from processors.whisper.audio import reader
from processors.whisper.engines.batch_runner import Decoding, Listener
from processors.whisper.engines.fair_batches import Rounds
from processors.whisper.engines.fast import Windows
from processors.whisper.options import WhisperOptions
from processors.whisper.track import interleaving
from processors.whisper.track.segment import Segment
from processors.whisper.track.transcriber import Answer, Question
from processors.whisper.weights import catalogue, source

_SHORTEST_SAMPLES = 1600  # the mel transform raises under 201 samples; 0.1 s holds no word anyway


class Engine:
    """One loaded model. See `hearing.Engine`."""

    name = "openai-whisper"
    joins = True

    def __init__(self, model: Whisper, name: str, dtype: str = "auto"):
        """`dtype`: what the windows are computed in, see `WhisperOptions`.

        Raises:
            Unavailable: the model's device does not know it.
        """
        self._model = model
        self.is_elsewhere = model.device.type == "cuda"
        self._fp16 = self.is_elsewhere  # what whisper itself computes in; its CPU code knows float32 only
        self._may_be_rough = dtype == "auto"
        if dtype == "auto":
            dtype = "float16" if self._fp16 else "float32"
        self._decoding = Decoding(model, *precision(dtype, model.device))
        self.made_by = {"engine": self.name, "version": whisper.__version__, "model": name, "dtype": dtype}

    @classmethod
    def load(cls, options: WhisperOptions, models: Path, progress: Progress) -> "Engine":
        """The model of `options`, fetched first if need be.

        Raises:
            Unavailable: no such device, or no such numbers on it; or the weights are not at hand, or damaged.
        """
        malloc.share()
        if options.threads:
            torch.set_num_threads(options.threads)
        device = _device(options.device)
        checkpoint = source.load(options.model, models, progress)
        try:
            model = Whisper(whisper.ModelDimensions(**checkpoint["dims"]))
            model.load_state_dict(checkpoint["model_state_dict"])
        except (KeyError, TypeError, RuntimeError) as error:
            raise Unavailable(f"{options.model} is no openai-whisper checkpoint: {error}") from error
        heads = whisper._ALIGNMENT_HEADS.get(catalogue.canonical(Path(options.model).name.removesuffix(".pt")))
        if heads:
            model.set_alignment_heads(heads)  # else: all heads of the later layers, which times words less well
        return cls(model.to(device).eval(), options.model, options.dtype)

    @property
    def device_name(self) -> str:
        device = self._model.device
        return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)

    def run(
        self, jobs: Iterable[interleaving.Job], more: Callable[[], Iterable[interleaving.Job]] = tuple
    ) -> Iterator[tuple[int, Any | Exception]]:
        """The windows of all jobs are decoded together."""
        rounds = Rounds(self._decoding.decode, attrgetter("kind"), self._decoding.most)
        return interleaving.run(jobs, rounds.answer, more)

    def detect(self, samples: np.ndarray) -> tuple[str, float | None]:
        if not self._model.is_multilingual:
            return "en", None
        mel = log_mel_spectrogram(self._moved(pad_or_trim(samples[:N_SAMPLES])), self._model.dims.n_mels)
        mel = mel.to(torch.float16 if self._fp16 else torch.float32)
        _, probabilities = self._model.detect_language(mel)
        language = max(probabilities, key=probabilities.get)
        return language, round(probabilities[language], 4)

    def hear(self, question: Question) -> Answer:
        self._check_vocabulary(question.options.vocabulary)
        ask = question.ask
        question = replace(question, ask=lambda windows: _with_numbers(ask(self._decoding.checked(windows))))
        if question.options.way == "fast":
            return Answer(segments=Windows(self._model, question, self._reads_roughly).transcribe())
        return Answer(segments=self._exactly(question))

    def _check_vocabulary(self, names: Sequence[str]) -> None:
        """
        Raises:
            BadInput: it is longer than what Whisper can be told: of a prompt it reads the end only.
        """
        if not names:
            return
        tokenizer = get_tokenizer(self._model.is_multilingual, num_languages=self._model.num_languages)
        count, most = len(tokenizer.encode(" " + ", ".join(names) + ".")), self._model.dims.n_text_ctx // 2 - 1
        if count > most:
            raise BadInput(
                f"The vocabulary comes to {count} tokens, and Whisper can be told {most}: a token is about four "
                "letters of English, but less than one in some scripts. Leave out the less important names."
            )

    @property
    def _reads_roughly(self) -> bool:
        return self._may_be_rough and self._decoding.knows_rough

    def _exactly(self, question: Question) -> list[Segment]:
        """openai-whisper's segments of one part."""
        samples = question.samples
        if len(samples) < _SHORTEST_SAMPLES:
            samples = np.pad(samples, (0, _SHORTEST_SAMPLES - len(samples)))
        arguments = question.options.arguments() | {"initial_prompt": question.prompt, "language": question.language}
        seconds = len(samples) / reader.SAMPLE_RATE_HZ
        listener = Listener(self._model, question, seconds)
        result = whisper.transcribe(listener, self._moved(samples), fp16=self._fp16, **arguments)
        return [listener.with_its_own_ratio(segment) for segment in result["segments"]]

    def _moved(self, samples: np.ndarray) -> torch.Tensor:
        """On the model's device, where, then, the spectrogram is made."""
        return torch.from_numpy(samples).to(self._model.device)


def _with_numbers(results: Sequence[DecodingResult]) -> Sequence[DecodingResult]:
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


def precision(dtype: str, device: torch.device) -> tuple[torch.dtype, bool]:
    """What numbers are kept as, and whether linear layers round them to 8 bits.

    Raises:
        Unavailable: not on this device.
    """
    if dtype != "int8":
        return getattr(torch, dtype), False
    if device.type != "cpu":
        raise Unavailable(
            f'dtype = "int8" is for the CPU, not for {device}. Leave it out of [processors.whisper], or set '
            'device = "cpu" there.'
        )
    return torch.float32, True


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(wanted)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise Unavailable(f'There is no CUDA device "{wanted}" here: set device = "auto", or look at the driver.')
    return device
