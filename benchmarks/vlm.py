"""Measure the cost of constraining answers to a JSON Schema, their validity, and the value of token probabilities.

`python -m benchmarks.vlm` writes benchmarks/VLM.md. It runs on the CPU, with the tiny model of the tests, and with the
shape of one layer of Qwen2.5-VL-3B with random weights, because speed does not depend on the weights.
"""

import base64
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper
from PIL import Image, ImageFilter
from transformers import Qwen2_5_VLTextConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLTextModel

from benchmarks.qwen_3b import LAYERS, TEXT, VOCABULARY, WIDTH
from processors.contract import Progress
from processors.vlm import VlmOptions
from processors.vlm.assess import assess
from processors.vlm.engine.generation import GrammarConstraint
from processors.vlm.engine.local import TransformersEngine
from processors.vlm.extract import load_schema, schema_grammar, schema_text
from processors.vlm.types import PageRequest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # for the drawings that the tiny model can read

from data import drawings  # noqa: E402

TINY = ROOT / "tests" / "data" / "tiny-vlm"
SCHEMA = load_schema("statement.json", ROOT / "tests" / "data" / "schemas")
RESULTS = ROOT / "benchmarks" / "VLM.md"
ROUNDS = 7
BATCH = 4
DAMAGED = 96  # pictures
STEPS = 24
THRESHOLDS = (0.3, 0.5, 0.7, 0.9)


def main() -> None:
    torch.set_num_threads(1)
    engine = TransformersEngine.load(
        VlmOptions(model=str(TINY), device="cpu", threads=1), TINY.parent, Progress(lambda _: None)
    )
    rows = [*overhead(engine), *large_vocabulary(), *confidence(engine)]
    table = "\n".join(f"| {name} | {measured} | {limit} |" for name, measured, limit in rows)
    text = (
        "# Vision-language model: JSON by schema, and its probabilities\n\n"
        "Written by `python -m benchmarks.vlm`. The figures are medians. The model is tiny: they say nothing about "
        "how well a real model reads.\n\n"
        f"| figure | measured | limit |\n| --- | --- | --- |\n{table}\n\n"
        f"Machine: {os.cpu_count()} cores, one thread used, torch {torch.__version__}.\n"
    )
    print(text)
    RESULTS.write_text(text, encoding="utf-8")


def overhead(engine: TransformersEngine) -> list[tuple[str, str, str]]:
    """Answer with and without the schema in turn, so that other work on the machine affects both equally."""
    rng = random.Random(1)
    pictures = [drawings.statement(a_statement(rng)) for _ in range(BATCH)]
    held = [a_question(picture) for picture in pictures]
    free = [a_question(picture, None) for picture in pictures]
    started = time.perf_counter()
    answers = engine.answer(held, lambda: None)
    first_seconds = time.perf_counter() - started
    same = [answer.text for answer in answers] == [answer.text for answer in engine.answer(free, lambda: None)]
    seconds = [
        (timed(lambda: engine.answer(held, no_sign)), timed(lambda: engine.answer(free, no_sign)))
        for _ in range(ROUNDS)
    ]
    ratio = statistics.median(with_it / without for with_it, without in seconds) - 1
    tokens = max(answer.tokens for answer in answers)
    step = statistics.median(without for _, without in seconds) / tokens
    return [
        ("answers with and without the schema are the same", str(same), "True"),
        (
            f"cost of the schema, tiny model, batch of {BATCH}, {step * 1e3:.1f} ms per token",
            f"{ratio:+.1%}",
            "under 10%",
        ),
        ("the first batch with a new schema and tokenizer", f"{first_seconds:.2f} s", "-"),
    ]


def large_vocabulary() -> list[tuple[str, str, str]]:
    """The mask of a schema for the vocabulary of the 3B model, and one decoding step with its shape."""
    words = vocabulary(VOCABULARY)
    tokenizer = LLTokenizer(TokenizerWrapper(Words(words)), n_vocab=VOCABULARY)
    started = time.perf_counter()
    matcher = LLMatcher(tokenizer, schema_grammar(schema_text(SCHEMA)))
    grammar_seconds = time.perf_counter() - started
    answer = drawings.transactions(a_statement(random.Random(2)))
    tokens = tokenizer.greedy_tokenize(answer)
    constraint = GrammarConstraint([matcher], VOCABULARY, [VOCABULARY - 1])
    ids, scores, masks = torch.zeros(1, 1, dtype=torch.int64), torch.randn(1, VOCABULARY), []
    for token in tokens:
        masks.append(timed(lambda: constraint(ids, scores)))  # noqa: B023 - called at once
        ids = torch.cat([ids, torch.tensor([[token]])], dim=1)
    mask, step = statistics.median(masks), decoding_step()
    return [
        (f"mask of one step, vocabulary of {VOCABULARY:,} tokens, {len(tokens)} steps", f"{mask * 1e3:.2f} ms", "-"),
        (
            f"one step with the shape of the 3B model on one thread ({LAYERS} layers and the logits)",
            f"{step * 1e3:.0f} ms",
            "-",
        ),
        ("cost of the schema at that shape", f"{mask / step:+.2%}", "under 10%"),
        ("cost of the schema if a step takes 15 ms, as on a GPU", f"{mask / 0.015:+.1%}", "under 10%"),
        ("preparing the grammar for that vocabulary", f"{grammar_seconds * 1e3:.0f} ms", "-"),
    ]


@torch.inference_mode()
def decoding_step() -> float:
    """Seconds for one token and its logits, with 36 layers of the 3B model's shape (measured with two), in float32."""
    config = Qwen2_5_VLTextConfig(
        **TEXT,
        num_hidden_layers=2,
        vocab_size=64,
        bos_token_id=None,
        eos_token_id=None,
    )
    model, head = Qwen2_5_VLTextModel(config).eval(), torch.nn.Linear(WIDTH, VOCABULARY, bias=False)
    token = torch.zeros(1, 1, dtype=torch.int64)
    layers = statistics.median(timed(lambda: model(input_ids=token, use_cache=False)) for _ in range(STEPS))
    scores = statistics.median(timed(lambda: head(torch.zeros(1, 1, WIDTH))) for _ in range(STEPS))
    return layers / 2 * LAYERS + scores


def confidence(engine: TransformersEngine) -> list[tuple[str, str, str]]:
    """Increasingly damaged statements: valid answers, and how well the lowest probability detects wrong ones."""
    rng = random.Random(3)
    rows = [a_statement(rng) for _ in range(DAMAGED)]
    pictures = [damaged(drawings.statement(each), number, rng) for number, each in enumerate(rows)]
    pictures += [noise(rng) for _ in range(8)]
    questions = [a_question(picture) for picture in pictures]
    answers = engine.answer(questions, no_sign)
    parts = [assess(request, answer) for request, answer in zip(questions, answers, strict=True)]
    whole = [part for part in parts if part.problem not in ("cut off", "loop")]
    valid = [part for part in whole if part.problem not in ("invalid", "unparsable")]
    right = [answer.text == drawings.transactions(each) for answer, each in zip(answers, rows, strict=False)]
    found = [answer.lowest_token_probability for answer in answers[: len(rows)]]
    return [
        (
            f"valid answers, of those that were not truncated, {len(parts)} pictures",
            f"{len(valid)} of {len(whole)}",
            "all",
        ),
        (f"exactly correct answers, of {len(rows)} damaged statements", str(sum(right)), "-"),
        (
            "lowest token probability separates wrong from correct answers: area under the ROC curve",
            f"{area(found, right):.3f}",
            "-",
        ),
        *(below(threshold, found, right) for threshold in THRESHOLDS),
    ]


# ---------------------------------------------------------------------------------------------- helpers


def a_question(image: Image.Image, wanted: dict | None = SCHEMA) -> PageRequest:
    return PageRequest(image=image, prompt=drawings.STATEMENT, token_limit=300, json_schema=wanted)


def a_statement(rng: random.Random) -> list[drawings.Row]:
    """One to four rows that are new to the model, but like those it was trained on."""
    names = ["CARD TESCO", "ATM", "FEE", "PAYMENT RENT", "REFUND BOOKS", "TRANSFER LOAN", "CHEQUE WATER", "HOTEL"]
    balance, day, rows = rng.randrange(20_000, 800_000), rng.randint(1, 15), []
    month = f"{rng.randint(2020, 2025)}-{rng.randint(1, 12):02d}"
    for _ in range(rng.randint(1, 4)):
        amount = rng.randrange(100, 99_999)
        is_credit = amount > balance or rng.random() < 0.4
        balance += amount if is_credit else -amount
        amounts = (None, amount / 100) if is_credit else (amount / 100, None)
        rows.append((f"{month}-{day:02d}", rng.choice(names), *amounts, balance / 100))
        day += rng.randint(0, 3)
    return rows


def damaged(image: Image.Image, number: int, rng: random.Random) -> Image.Image:
    """Every second picture as drawn; the others increasingly blurred or skewed."""
    strength = number / DAMAGED
    match number % 4:
        case 1:
            return image.filter(ImageFilter.GaussianBlur(0.8 * strength))
        case 3:
            return image.rotate(
                rng.choice([-1, 1]) * 0.8 * strength, fillcolor="white", resample=Image.Resampling.BICUBIC
            )
    return image


def noise(rng: random.Random) -> Image.Image:
    return Image.fromarray(np.random.default_rng(rng.randrange(10**6)).integers(0, 255, (168, 504, 3), dtype=np.uint8))


def below(threshold: float, values: Sequence[float], is_right: Sequence[bool]) -> tuple[str, str, str]:
    """The number of reviewed answers at a threshold."""
    reviewed = [good for value, good in zip(values, is_right, strict=True) if value < threshold]
    wrong = f"{len(reviewed) - sum(reviewed)} of {len(is_right) - sum(is_right)} wrong ones"
    return f"reviewed at {threshold:g}", f"{wrong}, {sum(reviewed)} of {sum(is_right)} correct ones", "-"


def area(values: Sequence[float], is_right: Sequence[bool]) -> float:
    """Area under the ROC curve: how often a correct answer has a greater value than a wrong one (Mann and Whitney)."""
    right = [value for value, good in zip(values, is_right, strict=True) if good]
    wrong = [value for value, good in zip(values, is_right, strict=True) if not good]
    wins = sum((one > other) + (one == other) / 2 for one in right for other in wrong)
    return wins / (len(right) * len(wrong)) if right and wrong else float("nan")


class Words:
    """A tokenizer in llguidance's interface: a vocabulary without rules."""

    eos_token_id, bos_token_id = VOCABULARY - 1, None

    def __init__(self, words: list[bytes]):
        self.tokens = words
        self.special_token_ids = [VOCABULARY - 1]

    def __call__(self, text: str | bytes) -> list[int]:
        return [self.tokens.index(bytes([byte])) for byte in (text.encode() if isinstance(text, str) else text)]


def vocabulary(size: int) -> list[bytes]:
    """The 50,000 tokens of Whisper's wheel, and pairs of them: as large as Qwen's vocabulary, which is absent."""
    import whisper

    lines = (
        (Path(whisper.__file__).parent / "assets" / "multilingual.tiktoken").read_text(encoding="ascii").splitlines()
    )
    words = [base64.b64decode(line.split()[0]) for line in lines]
    known, rng = set(words), random.Random(4)
    while len(words) < size - 1:
        pair = rng.choice(words[:20_000]) + rng.choice(words[:20_000])
        if pair not in known:
            known.add(pair)
            words.append(pair)
    return [*words, b"<|im_end|>"]


def timed(work: Callable[[], object]) -> float:
    """CPU seconds of this process; other work on the machine does not count."""
    started = time.process_time()
    work()
    return time.process_time() - started


def no_sign() -> None:
    pass


if __name__ == "__main__":
    main()
