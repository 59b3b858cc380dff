"""Measure pages per minute of a vision-language model by batch size, compared with `generate` page by page.

    python -m benchmarks.throughput --model FOLDER [--write]        # with downloaded weights
    python -m benchmarks.throughput --shape [--layers N] [--write]  # the shape of Qwen2.5-VL-3B, random weights

Uses CUDA if available. Speed does not depend on the weights, so random ones are as good; their answers are nonsense
that hardly ever ends, so each page gets the same number of tokens. The pages are noise of `--pixels` (by default, an
A4 page at 115 dpi). `--write` appends a table to benchmarks/THROUGHPUT.md.
"""

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedModel, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from benchmarks.qwen_3b import LAYERS, SIGHT_LAYERS, TEXT, VISION, VOCABULARY
from processors.contract import Progress
from processors.vlm import VlmOptions
from processors.vlm.engine import window_attention
from processors.vlm.engine.chat import ChatProcessor
from processors.vlm.engine.loading import choose_attention, choose_device, choose_dtype
from processors.vlm.engine.local import TransformersEngine
from processors.vlm.types import PageRequest

ROOT = Path(__file__).parents[1]
TINY = ROOT / "tests" / "data" / "tiny-vlm"  # its processor and vocabulary also serve for the shape
RESULTS = Path(__file__).with_name("THROUGHPUT.md")
PROMPT = "Read all the text in this image and write it as Markdown, in reading order."


def main() -> None:
    given = _arguments()
    engine = _of_shape(given) if given.shape else _of_folder(given)
    pages = [_page(number, given.pixels) for number in range(max(given.batches) * given.rounds)]
    few = pages[: max(2, len(pages) // 4)]
    one_by_one = _pages_a_minute(lambda: _generate_each(engine, few, given.tokens), len(few))
    lines = [f"| `generate`, page by page | {one_by_one:.1f} | 1.00 | {_peak(engine):.1f} GB |"]
    for batch in given.batches:
        engine.pages_at_once = batch
        count = max(2, min(len(pages), 2 * batch))
        asked = [PageRequest(image=page, prompt=PROMPT, token_limit=given.tokens) for page in pages[:count]]
        speed = _pages_a_minute(lambda asked=asked: engine.answer(asked, lambda: None), count)
        shrunk = f" (out of memory: {engine.fewest_at_once})" if engine.fewest_at_once != batch else ""
        lines.append(f"| batch of {batch}{shrunk} | {speed:.1f} | {speed / one_by_one:.2f} | {_peak(engine):.1f} GB |")
        print(lines[-1], flush=True)
    model = engine._model
    what = f"{model.num_parameters() / 1e9:.2f} billion weights, {str(model.dtype).removeprefix('torch.')}"
    if engine._cache.is_on:
        what += ", static cache"
    shape = f"the shape of Qwen2.5-VL-3B, {given.layers or LAYERS} of {LAYERS} layers"
    title = f"## {engine.device_name}, {shape if given.shape else given.model.name}"
    facts = f"{what}, {engine.made_by['attention']}; {given.tokens} tokens per page of {given.pixels:,} pixels."
    head = "| variant | pages per minute | × page by page | peak memory |\n| --- | --- | --- | --- |"
    text = f"\n{title}\n\n{facts}\n\n{head}\n" + "\n".join(lines) + "\n"
    print(text)
    if given.write:
        start = "" if RESULTS.exists() else "# Pages per minute\n\nWritten by `python -m benchmarks.throughput`.\n"
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(start + text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", type=Path, help="a folder of weights")
    what.add_argument("--shape", action="store_true", help="Qwen2.5-VL-3B's, with random weights")
    parser.add_argument("--layers", type=int, help="with --shape: fewer, where there is no GPU")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batches", type=lambda text: [*map(int, text.split(","))], default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--tokens", type=int, default=300, help="of each answer")
    parser.add_argument("--pixels", type=int, default=1_280_000, help="of each page")
    parser.add_argument("--rounds", type=int, default=2, help="times the largest batch: how many pages there are")
    parser.add_argument("--cache", choices=["dynamic", "static"], default="dynamic", help="of keys and values")
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


def _of_folder(given: argparse.Namespace) -> TransformersEngine:
    options = VlmOptions(
        model=str(given.model.resolve()), device=given.device, max_pixels=given.pixels, cache=given.cache
    )
    return TransformersEngine.load(options, given.model.parent, Progress(lambda message: None))


def _of_shape(given: argparse.Namespace) -> TransformersEngine:
    device = choose_device(given.device)
    dtype = choose_dtype("auto", device)
    config = Qwen2_5_VLConfig(
        text_config=TEXT
        | {
            "vocab_size": VOCABULARY,
            "num_hidden_layers": given.layers or LAYERS,
            "max_position_embeddings": 128_000,
        },
        vision_config=VISION | {"depth": min(SIGHT_LAYERS, (given.layers or LAYERS) * SIGHT_LAYERS // LAYERS or 1)},
        image_token_id=6,  # in the vocabulary of the tiny model
        video_token_id=7,
        vision_start_token_id=3,
        vision_end_token_id=4,
        tie_word_embeddings=True,
        attn_implementation=choose_attention("auto", device, dtype),
    )
    with torch.device(device):
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        model = Qwen2_5_VLForConditionalGeneration(config).eval()
        torch.set_default_dtype(before)
    model.generation_config.eos_token_id = VOCABULARY - 1
    if device.type == "cuda" and config._attn_implementation == "sdpa":
        window_attention.use_in(model)
    return TransformersEngine(model, ChatProcessor.load(TINY, given.pixels), max(given.batches), cache=given.cache)


def _page(number: int, pixels: int) -> Image.Image:
    width = int((pixels / 2**0.5) ** 0.5)
    rng = np.random.default_rng(number)
    return Image.fromarray(rng.integers(0, 255, (int(width * 2**0.5), width, 3), dtype=np.uint8))


@torch.inference_mode()
def _generate_each(engine: TransformersEngine, pages: list[Image.Image], tokens: int) -> None:
    model: PreTrainedModel = engine._model
    for page in pages:
        inputs = engine._chat.prepare([PageRequest(image=page, prompt=PROMPT, token_limit=tokens)])
        inputs = inputs.to(model.device, dtype=model.dtype)
        model.generate(**inputs, max_new_tokens=tokens, do_sample=False)


def _pages_a_minute(work: Callable[[], object], count: int) -> float:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return 60 * count / (time.perf_counter() - started)


def _peak(engine: TransformersEngine) -> float:
    """Peak memory in GB: of the GPU for the last variant, or, on the CPU, of the process so far."""
    if engine._model.device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
