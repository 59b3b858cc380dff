"""Measure seconds per window of Whisper's decoder by batch size, compared with openai-whisper window by window.

    python -m benchmarks.speech_gpu --shape turbo large-v3 --write  # appends to benchmarks/SPEECH-GPU.md
    python -m benchmarks.speech_gpu --shape tiny --batches 1,2 --tokens 8 --rounds 1  # without a GPU

The models have the shapes of the published ones and random weights, because speed does not depend on the weights. Such
a model does not end a text itself, so every variant decodes the same number of tokens for each window, after the
same prompt, by whisper's rules. The windows are 30 seconds of noise. The time includes encoding and decoding, but not
the spectrogram, which is the same for all variants. The table has the medians of `--rounds`, after a warm-up round
that also records the CUDA graphs. The models run in half precision on a GPU, and in float32 on the CPU.

The variants are: `whisper.decode`, window by window; ours, with a check by the host at each step; ours on the device,
without and with recorded steps. If CTranslate2 (on which faster-whisper runs) is installed, it decodes the same
weights; it manages its own memory, which is not in the table.
"""

import argparse
import importlib.util
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import whisper
from whisper.decoding import DecodingOptions, DecodingTask
from whisper.model import ModelDimensions, Whisper
from whisper.tokenizer import get_tokenizer

from processors.whisper.decoder.cuda_graphs import CudaGraphs, eagerly
from processors.whisper.decoder.decoding import BatchDecoder

RESULTS = Path(__file__).with_name("SPEECH-GPU.md")
_MULTILINGUAL = ModelDimensions(
    n_mels=80, n_audio_ctx=1500, n_audio_state=384, n_audio_head=6, n_audio_layer=4,
    n_vocab=51865, n_text_ctx=448, n_text_state=384, n_text_head=6, n_text_layer=4,
)  # fmt: skip


def _shape(width: int, layers: int, text_layers: int | None = None, **others: int) -> ModelDimensions:
    heads, text_layers = width // 64, text_layers or layers
    sound = {"n_audio_state": width, "n_audio_head": heads, "n_audio_layer": layers}
    text = {"n_text_state": width, "n_text_head": heads, "n_text_layer": text_layers}
    return replace(_MULTILINGUAL, **sound, **text, **others)


SHAPES = {
    "tiny": _MULTILINGUAL,
    "base": _shape(512, 6),
    "small": _shape(768, 12),
    "medium": _shape(1024, 24),
    "large-v2": _shape(1280, 32),
    "large-v3": _shape(1280, 32, n_mels=128, n_vocab=51866),
    "turbo": _shape(1280, 32, text_layers=4, n_mels=128, n_vocab=51866),
}
CTRANSLATE = "CTranslate2"
Way = tuple[str, int, Callable[[], object]]  # name, batch size, and the work for such a batch


def main() -> None:
    given = _arguments()
    device = torch.device(given.device)
    for shape in given.shape:
        lines = [
            "| variant | batch | seconds per window | × one by one | peak memory |",
            "| --- | --- | --- | --- | --- |",
        ]
        first = 0.0
        for name, windows, work in _ways(_model(SHAPES[shape], device), given):
            try:
                seconds, peak_bytes = _measured(work, given.rounds, device)
            except torch.OutOfMemoryError:
                lines.append(f"| {name} | {windows} | out of memory | | |")
                continue
            finally:
                del work  # and its decoder, so that the next variant starts without its memory
            first = first or seconds / windows
            peak = "" if name == CTRANSLATE else f"{peak_bytes / 1e9:.2f} GB"
            lines.append(f"| {name} | {windows} | {seconds / windows:.4f} | {first * windows / seconds:.2f} | {peak} |")
            print(shape, lines[-1], flush=True)
        on = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
        title = f"## {shape}, {on}, {str(_dtype(device)).removeprefix('torch.')}"
        facts = f"{given.tokens} tokens per window; medians of {given.rounds}; torch {torch.__version__}."
        text = f"\n{title}\n\n{facts}\n\n" + "\n".join(lines) + "\n"
        print(text)
        if given.write:
            start = "" if RESULTS.exists() else "# Speech on a GPU\n\nWritten by `python -m benchmarks.speech_gpu`.\n"
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(start + text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", nargs="+", choices=SHAPES, default=["turbo", "large-v3"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batches", type=lambda text: [*map(int, text.split(","))], default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--tokens", type=int, default=100, help="of each window")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


def _dtype(device: torch.device) -> torch.dtype:
    return torch.float16 if device.type == "cuda" else torch.float32


def _model(dims: ModelDimensions, device: torch.device) -> Whisper:
    torch.manual_seed(0)
    model = Whisper(dims).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    return model.to(device)


def _ways(model: Whisper, given: argparse.Namespace) -> Iterator[Way]:
    """The variants one after the other, so that each frees its memory before the next one starts."""
    device, dtype = model.device, _dtype(model.device)
    mels = torch.randn(max(given.batches), model.dims.n_mels, 3000, device=device).to(dtype)
    end = get_tokenizer(model.is_multilingual, num_languages=model.num_languages, language="en").eot
    how = DecodingOptions(
        language="en", fp16=dtype == torch.float16, sample_len=given.tokens, suppress_tokens=[-1, end], prompt="noise"
    )
    yield "openai-whisper", 1, lambda: whisper.decode(model, mels[0], how)
    ours: dict[str, Callable | None] = {"ours, the host asked at each step": None, "ours, on the device": eagerly}
    if device.type == "cuda":
        ours["ours, on the device, recorded"] = CudaGraphs(device)
    for name, capture in ours.items():
        decoder = BatchDecoder(model, dtype, capture=capture)
        for windows in given.batches:
            yield name, windows, partial(_decode, decoder, mels[:windows], how)
        del decoder
    if importlib.util.find_spec("ctranslate2"):
        yield from _of_ctranslate(model, mels, how, given.batches)


def _of_ctranslate(model: Whisper, mels: torch.Tensor, how: DecodingOptions, batches: list[int]) -> Iterator[Way]:
    import ctranslate2

    from benchmarks import ctranslate

    theirs = ctranslate.load(model, model.device, "float16" if how.fp16 else "float32")
    task = DecodingTask(model, how)
    rules = {
        "beam_size": 1,
        "max_length": 2 * how.sample_len,  # of which half may be text
        "suppress_tokens": list(task._get_suppress_tokens()),
        "max_initial_timestamp_index": 50,
    }

    sounds = mels.float().cpu().numpy()  # faster-whisper also passes them from the CPU

    def decode(windows: int) -> None:
        features = ctranslate2.StorageView.from_array(sounds[:windows])
        found = theirs.generate(features, [list(task.initial_tokens)] * windows, **rules)
        assert {len(each.sequences_ids[0]) for each in found} == {how.sample_len}

    for windows in batches:
        yield CTRANSLATE, windows, partial(decode, windows)


def _decode(decoder: BatchDecoder, mels: torch.Tensor, how: DecodingOptions) -> None:
    found = decoder.decode(decoder.encode_all(list(mels), [None] * len(mels)), [how] * len(mels))
    assert {len(each.tokens) for each in found} == {how.sample_len}


def _measured(work: Callable[[], object], rounds: int, device: torch.device) -> tuple[float, int]:
    """Seconds, and peak bytes: of the GPU's memory, or, on the CPU, of the process so far."""
    is_on_gpu = device.type == "cuda"
    if is_on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    taken = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        work()
        if is_on_gpu:
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - started)
    if is_on_gpu:
        return statistics.median(taken[1:]), torch.cuda.max_memory_allocated(device)
    return statistics.median(taken[1:]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
