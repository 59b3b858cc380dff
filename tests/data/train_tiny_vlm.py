"""Train tests/data/tiny-vlm on drawings that this script makes (see drawings.py), with this project's own prompts.

    python tests/data/train_tiny_vlm.py OUT --minutes 50                             # from random weights
    python tests/data/train_tiny_vlm.py OUT --minutes 40 --start tests/data/tiny-vlm    # from these weights
    python tests/data/train_tiny_vlm.py OUT --average ONE OTHER                         # the mean of two runs' weights
    python tests/data/train_tiny_vlm.py tests/data/tiny-vlm --check 100                 # measure how well it reads

One core of a processor with bfloat16 instructions is enough. The architecture is transformers' own Qwen2.5-VL, in the
shape of tests/data/tiny-vlm/config.json. During training, a second head names the letters in each visual token;
without it, only the answers would train the vision encoder, which takes many times as long.
"""

import argparse
import math
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoImageProcessor, PreTrainedTokenizerFast, Qwen2_5_VLForConditionalGeneration

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import drawings  # noqa: E402

from processors import statements  # noqa: E402
from processors.contract import Progress  # noqa: E402
from processors.vlm import VlmOptions, prompts  # noqa: E402
from processors.vlm.engine.local import TransformersEngine  # noqa: E402
from processors.vlm.extract import schema_form  # noqa: E402
from processors.vlm.types import PageRequest  # noqa: E402

TINY = Path(__file__).parent / "tiny-vlm"
WORDS = 1_400  # of the vocabulary
TOKEN = 28  # pixels of a visual token's side
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.,-/:#"
SHAPES = [f"{color} {shape}" for color in drawings.COLORS for shape in ("circle", "square", "triangle")]
MARKS = {mark: number for number, mark in enumerate([*LETTERS, *SHAPES], start=1)}  # 0: nothing
MARKS_A_TOKEN = 4
KINDS = ("CARD", "TRANSFER", "DIRECT DEBIT", "ATM", "REFUND", "STANDING ORDER", "CHEQUE", "FEE", "INTEREST", "PAYMENT")
NAMES = (
    *("TESCO", "ALDI", "AMAZON", "SHELL", "RENT", "SALARY", "WATER", "POWER", "GYM", "HOTEL", "TAXI", "BOOKS", "CAFE"),
    *("BAKERY", "PHARMACY", "CINEMA", "PHONE", "LOAN", "TAX", "INSURANCE"),
)
TITLES = (
    *("TOTAL", "SUBTOTAL", "VAT", "CASH", "CHANGE", "DUE", "PAID", "BALANCE", "INVOICE", "ORDER", "ITEM", "QTY"),
    *("PRICE", "DATE", "REF", "DISCOUNT", *NAMES),
)
FORM = prompts.STATEMENT.replace(prompts.FORM_MARK, schema_form(statements.page_schema()))


@dataclass(frozen=True)
class Example:
    image: Image.Image
    prompt: str
    answer: str
    drawn: Sequence[tuple[float, float, str]]


# ---- drawings by chance


def a_pen(rng: random.Random) -> drawings.Pen:
    paper = rng.choice([(255, 255, 255), (255, 255, 255), (246, 246, 241)])
    return drawings.Pen(paper=paper, ink=(rng.randint(0, 60),) * 3, right=rng.randint(0, 1), down=rng.randint(-1, 1))


def an_amount(rng: random.Random) -> float:
    return round(rng.choice([rng.uniform(1, 100), rng.uniform(100, 1000), rng.uniform(1000, 9999)]), 2)


def some_shapes(rng: random.Random, prompt: str) -> Example:
    cells = rng.sample([(row, column) for row in range(4) for column in range(4)], rng.choice([1, 2, 2, 3, 3, 4]))
    placed = [(row, column, rng.choice(SHAPES)) for row, column in cells]
    pen = a_pen(rng)
    return Example(drawings.shapes(placed, pen, rng.randint(-3, 3)), prompt, drawings.names(placed), pen.drawn)


def some_print(rng: random.Random, prompt: str) -> Example:
    lines = [a_line(rng) if rng.random() < 0.6 else "" for _ in range(3)]
    if not any(lines):
        lines[rng.randrange(3)] = a_line(rng)
    pen, longest = a_pen(rng), max(map(len, lines))
    image = drawings.print_lines(lines, pen, rng.randint(0, max(0, 26 - longest)))
    return Example(image, prompt, "\n".join(filter(None, lines)), pen.drawn)


def a_line(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.6:
        return f"{rng.choice(TITLES)} {an_amount(rng):.2f}"
    if kind < 0.8:
        return f"{rng.choice(TITLES)} {rng.choice(TITLES)} {rng.randint(1, 99999)}"[:26]
    return "".join(rng.choices("ACDEFGHJKLMNPQRTUVWXY34679", k=rng.randint(4, 9)))


def a_statement(rng: random.Random, prompt: str) -> Example:
    rows, balance = [], round(rng.uniform(100, 9000), 2)
    year, month, day = rng.randint(2019, 2026), rng.randint(1, 12), rng.randint(1, 20)
    for _ in range(rng.randint(1, 4)):
        day, amount = min(28, day + rng.randint(0, 3)), an_amount(rng)
        is_credit = (rng.random() < 0.4 or amount > balance) and balance + amount < 99_999
        balance = round(balance + amount if is_credit else balance - amount, 2)
        name = f"{rng.choice(KINDS)} {rng.choice(NAMES)}" if rng.random() < 0.6 else rng.choice(NAMES)
        debit, credit = (None, amount) if is_credit else (amount, None)
        rows.append((f"{year}-{month:02d}-{day:02d}", name, debit, credit, balance))
    pen = a_pen(rng)
    answer = drawings.page if prompt == FORM else drawings.transactions
    return Example(drawings.statement(rows, pen, rng.randint(0, 1)), prompt, answer(rows), pen.drawn)


Make = Callable[[random.Random, str], Example]
TASKS: list[tuple[float, int, Make, str]] = [  # share of the steps, examples a step
    (0.40, 16, a_statement, FORM),
    (0.10, 16, a_statement, drawings.STATEMENT),
    (0.14, 32, some_print, prompts.READ),
    (0.10, 48, some_print, drawings.READ),
    (0.14, 32, some_shapes, prompts.DESCRIBE),
    (0.12, 32, some_shapes, drawings.DESCRIBE),
]


# ---- words


def make_tokenizer(template: str) -> PreTrainedTokenizerFast:
    """Byte pairs and single digits, as in Qwen's, with the words of the prompts in the vocabulary."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"]
    special += ["<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\p{N}"), "isolated"),
            pre_tokenizers.Split(Regex(r" ?\p{L}+|[^\p{L}\p{N}]+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS,
        min_frequency=20,
        special_tokens=[AddedToken(word, special=True, normalized=False) for word in special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words.train_from_iterator(_corpus(), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=[word for word in special if word not in ("<|im_end|>", "<|endoftext|>")],
        padding_side="left",
        model_max_length=8192,
    )
    tokenizer.chat_template = template
    return tokenizer


def _corpus() -> Iterator[str]:
    rng = random.Random(5)
    for _ in range(600):
        for _, _, make, prompt in TASKS:
            yield prompt
            yield make(rng, prompt).answer
        yield from ("You are a helpful assistant.", "system\n", "user\n", "assistant\n")


def take_over_words(model: Qwen2_5_VLForConditionalGeneration, old: Tokenizer, new: Tokenizer) -> None:
    """Transfer embeddings to a new vocabulary: a new token starts as the mean of its old parts."""
    before = model.get_input_embeddings().weight.detach().clone()
    model.resize_token_embeddings(new.get_vocab_size(), mean_resizing=False)
    known = old.get_vocab()
    with torch.no_grad():
        for word, number in new.get_vocab().items():
            text = decoders.ByteLevel().decode([word])
            parts = [known[word]] if word in known else old.encode(text, add_special_tokens=False).ids
            model.get_input_embeddings().weight[number] = before[parts].mean(0)


# ---- batches

_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)  # of CLIP, as Qwen's image processor has them
_DEVIATION = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


@dataclass(frozen=True)
class Batch:
    """B examples of one task, padded on the right; `grid` is (rows, columns) of visual tokens."""

    patches: torch.Tensor  # (B, 4 * rows * columns, 588)
    marks: torch.Tensor  # (B, rows * columns, MARKS_A_TOKEN)
    tokens: torch.Tensor  # (B, T)
    wanted: torch.Tensor  # (B, T): the next token, where it is the answer's; else -100
    positions: torch.Tensor  # (3, B, T)
    grid: tuple[int, int]


def make_batch(examples: Sequence[Example], tokenizer: PreTrainedTokenizerFast, image_token: int) -> Batch:
    width, height = examples[0].image.size
    rows, columns = height // TOKEN, width // TOKEN
    talk = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": examples[0].prompt}]}]
    asked = tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
    asked = asked.replace("<|image_pad|>", "<|image_pad|>" * (rows * columns))
    prompt = tokenizer(asked)["input_ids"]
    answers = [[*tokenizer(example.answer)["input_ids"], tokenizer.eos_token_id] for example in examples]
    length = math.ceil((len(prompt) + max(map(len, answers))) / 8) * 8
    tokens = torch.zeros(len(examples), length, dtype=torch.long)
    wanted = torch.full((len(examples), length), -100)
    for row, answer in enumerate(answers):
        tokens[row, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        wanted[row, len(prompt) - 1 : len(prompt) - 1 + len(answer)] = torch.tensor(answer)
    positions = _positions(prompt.index(image_token), (rows, columns), length)
    return Batch(
        patches=torch.from_numpy(np.stack([_patches(example.image) for example in examples])),
        marks=torch.from_numpy(np.stack([_marks(example.drawn, rows, columns) for example in examples])),
        tokens=tokens,
        wanted=wanted,
        positions=positions[:, None].expand(3, len(examples), length),
        grid=(rows, columns),
    )


def _patches(image: Image.Image) -> np.ndarray:
    pixels = (np.asarray(image, np.float32) / 255 - _MEAN) / _DEVIATION
    height, width, _ = pixels.shape
    parts = pixels.reshape(height // TOKEN, 2, TOKEN // 2, width // TOKEN, 2, TOKEN // 2, 3)
    return parts.transpose(0, 3, 1, 4, 6, 2, 5).reshape(-1, 3 * (TOKEN // 2) ** 2)


def _marks(drawn: Sequence[tuple[float, float, str]], rows: int, columns: int) -> np.ndarray:
    """The marks drawn in each visual token, from left to right, at most `MARKS_A_TOKEN`."""
    found = np.zeros((rows, columns, MARKS_A_TOKEN), np.int64)
    count = np.zeros((rows, columns), np.int64)
    for x, y, mark in sorted(drawn):
        row, column = int(y // TOKEN), int(x // TOKEN)
        if 0 <= row < rows and 0 <= column < columns and count[row, column] < MARKS_A_TOKEN:
            found[row, column, count[row, column]] = MARKS[mark]
            count[row, column] += 1
    return found.reshape(-1, MARKS_A_TOKEN)


def _positions(start: int, grid: tuple[int, int], length: int) -> torch.Tensor:
    """(3, length): time, row and column of each token, as Qwen2.5-VL counts them around one picture."""
    rows, columns = grid
    place = torch.arange(rows * columns)
    picture = torch.stack([torch.zeros_like(place), place // columns, place % columns]) + start
    after = torch.arange(length - start - rows * columns) + start + max(rows, columns)
    return torch.cat([torch.arange(start).expand(3, -1), picture, after.expand(3, -1)], 1)


# ---- the model


class Pupil:
    """The model and its second head, with a vision encoder that processes pictures of one size as a batch."""

    def __init__(self, model: Qwen2_5_VLForConditionalGeneration):
        self.model, self.eyes, self.language = model, model.model.visual, model.model.language_model
        self.names = torch.nn.Linear(model.config.text_config.hidden_size, MARKS_A_TOKEN * (len(MARKS) + 1))

    def see(self, patches: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
        """(B, rows * columns, hidden); equal to the output of the model's own encoder, picture by picture."""
        config, (rows, columns) = self.model.config.vision_config, grid
        down, right = torch.meshgrid(torch.arange(2 * rows), torch.arange(2 * columns), indexing="ij")
        places = torch.stack([down, right], -1).reshape(rows, 2, columns, 2, 2).permute(0, 2, 1, 3, 4).reshape(-1, 2)
        cosines, sines = (part[None, :, None] for part in self.eyes.rotary_pos_emb(torch.zeros(1), places))
        per_window = config.window_size // config.patch_size
        window = places[:, 0] // per_window * 1000 + places[:, 1] // per_window
        same_window = window[:, None] == window[None, :]
        weight = self.eyes.patch_embed.proj.weight.sum(2).flatten(1)  # both frames of a still picture are the same
        seen, (batch, length, _) = F.linear(patches, weight), patches.shape
        for number, block in enumerate(self.eyes.blocks):
            parts = block.attn.qkv(block.norm1(seen)).view(batch, length, 3, config.num_heads, -1).unbind(2)
            query, key = (part * cosines + _rotated(part) * sines for part in parts[:2])
            mask = None if number in self.eyes.fullatt_block_indexes else same_window
            heads = (part.transpose(1, 2) for part in (query, key, parts[2]))
            mixed = F.scaled_dot_product_attention(*heads, attn_mask=mask)
            seen = seen + block.attn.proj(mixed.transpose(1, 2).reshape(batch, length, -1))
            seen = seen + block.mlp(block.norm2(seen))
        return self.eyes.merger(seen.reshape(batch * length, -1)).view(batch, length // 4, -1)

    def losses(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, float]:
        """The losses of the answers and of the second head, and the share of correct answer tokens."""
        seen = self.see(batch.patches, batch.grid)
        embedded = self.language.embed_tokens(batch.tokens)
        is_picture = batch.tokens == self.model.config.image_token_id
        embedded = embedded.masked_scatter(is_picture[..., None], seen.to(embedded.dtype))
        hidden = self.language(inputs_embeds=embedded, position_ids=batch.positions, use_cache=False).last_hidden_state
        is_wanted = batch.wanted != -100
        logits, wanted = self.model.lm_head(hidden[is_wanted]).float(), batch.wanted[is_wanted]
        named, marks = self.names(seen).view(-1, len(MARKS) + 1).float(), batch.marks.reshape(-1)
        counts = (marks != 0) | (torch.rand(marks.shape) < 0.15)  # most places are empty
        right = (logits.argmax(-1) == wanted).float().mean()
        return F.cross_entropy(logits, wanted), F.cross_entropy(named[counts], marks[counts]), float(right)


def _rotated(part: torch.Tensor) -> torch.Tensor:
    first, second = part.chunk(2, -1)
    return torch.cat((-second, first), -1)


def new_model() -> Qwen2_5_VLForConditionalGeneration:
    model = Qwen2_5_VLForConditionalGeneration(AutoConfig.from_pretrained(TINY))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim >= 2 and "embed_tokens" not in name:
                torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
        for layer in model.model.language_model.layers:
            layer.self_attn.o_proj.weight *= 0.3
            layer.mlp.down_proj.weight *= 0.3
        for block in model.model.visual.blocks:
            block.attn.proj.weight *= 0.3
            block.mlp.down_proj.weight *= 0.3
    return model.float()


# ---- training


def train(pupil: Pupil, tokenizer: PreTrainedTokenizerFast, minutes: float, seed: int, *, anew: bool) -> None:
    rng, model = random.Random(seed), pupil.model
    by_muon = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name and "head" not in name]
    others = [p for p in model.parameters() if not any(p is each for each in by_muon)] + [*pupil.names.parameters()]
    muon = torch.optim.Muon(by_muon, lr=0, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(others, lr=0, betas=(0.9, 0.98), weight_decay=0.0)
    rates = (0.003, 0.002) if anew else (0.002, 0.0012)
    start, step, log = time.monotonic(), 0, {}
    while (done := (time.monotonic() - start) / (60 * minutes)) < 1:
        scale = min(1, (step + 1) / (100 if anew else 20)) * max(0.02, min(1, (1 - done) / (0.4 if anew else 0.8)))
        for optimizer, rate in zip((muon, adam), rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * scale
        shares = [_share(task, done) if anew else task[0] for task in TASKS]
        _, count, make, prompt = rng.choices(TASKS, shares)[0]
        batch = make_batch([make(rng, prompt) for _ in range(count)], tokenizer, model.config.image_token_id)
        with torch.autocast("cpu", torch.bfloat16):
            answers, names, right = pupil.losses(batch)
            (answers + (1.0 if anew and done < 0.3 else 0.3) * names).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in (muon, adam):
            optimizer.step()
            optimizer.zero_grad()
        step += 1
        log.setdefault(prompt[:24], []).append((answers.item(), names.item(), right))
        if step % 50 == 0:
            means = {name: np.mean(values, 0).round(3).tolist() for name, values in log.items()}
            print(f"{time.monotonic() - start:.0f} s, step {step}: {means}", flush=True)
            log = {}


def _share(task: tuple[float, int, Make, str], done: float) -> float:
    """From random weights, training starts with print, then shapes, then statements."""
    share, _, make, _ = task
    return share * (3 if make is some_print else 1 if make is some_shapes else 0) if done < 0.12 else share


def save(model: Qwen2_5_VLForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.half().save_pretrained(out)
    tokenizer.save_pretrained(out)
    AutoImageProcessor.from_pretrained(TINY).save_pretrained(out)


def average(out: Path, one: Path, other: Path) -> None:
    """The mean of the weights of two runs, which reads better than either (Wortsman et al. 2022, "Model soups")."""
    shutil.copytree(one, out, dirs_exist_ok=True)
    first, second = (load_file(folder / "model.safetensors") for folder in (one, other))
    mean = {name: ((first[name].float() + second[name].float()) / 2).half() for name in first}
    save_file(mean, out / "model.safetensors", metadata={"format": "pt"})


def check(folder: Path, count: int) -> None:
    """The number of exactly correct answers for `count` new drawings per task, with the engine that users run."""
    rng = random.Random(987_654)
    options = VlmOptions(model=str(folder.resolve()), device="cpu", threads=1)
    engine = TransformersEngine.load(options, folder.parent, Progress(lambda message: None))
    for _, _, make, prompt in TASKS:
        examples = [make(rng, prompt) for _ in range(count)]
        questions = [PageRequest(image=each.image, prompt=prompt, token_limit=500) for each in examples]
        answers = engine.answer(questions, lambda: None)
        right = sum(answer.text == each.answer for answer, each in zip(answers, examples, strict=True))
        print(f"{prompt[:60]!r}: {right} of {count} exactly right", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the new model")
    parser.add_argument("--minutes", type=float, default=0, help="how long; 0: only check OUT")
    parser.add_argument("--start", type=Path, help="a model to go on from; else from nothing")
    parser.add_argument("--seed", type=int, default=0, help="of the drawings (default: 0)")
    parser.add_argument("--check", type=int, default=0, metavar="N", help="ask it about N new drawings a task")
    parser.add_argument("--average", type=Path, nargs=2, help="models of one vocabulary, one made from the other")
    given = parser.parse_args()
    if given.average:
        average(given.out, *given.average)
    if given.minutes:
        make_model(given)
    if given.check:
        check(given.out, given.check)


def make_model(given: argparse.Namespace) -> None:
    torch.manual_seed(given.seed)
    tokenizer = make_tokenizer((TINY / "chat_template.jinja").read_text(encoding="utf-8"))
    if given.start:
        model = Qwen2_5_VLForConditionalGeneration.from_pretrained(given.start, dtype=torch.float32)
        take_over_words(model, Tokenizer.from_file(str(given.start / "tokenizer.json")), tokenizer.backend_tokenizer)
    else:
        model = new_model()
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    lengths = {prompt[:24]: len(tokenizer(prompt)["input_ids"]) for _, _, _, prompt in TASKS}
    print(f"{model.num_parameters() / 1e6:.2f} million weights, {len(tokenizer)} words, prompts: {lengths}", flush=True)
    train(Pupil(model.train()), tokenizer, given.minutes, given.seed, anew=given.start is None)
    save(model.eval(), tokenizer, given.out)


if __name__ == "__main__":
    main()
