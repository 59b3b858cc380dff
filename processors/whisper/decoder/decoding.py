"""Windows of sound -> whisper's `DecodingResult`s, many at once, by the rules of `whisper.decoding`.

Each window gets what `whisper.decode` would give it alone: the windows share the arithmetic only, and one that is done
leaves the batch. Above temperature 0 a window draws from a generator of its own, so that it gives the same text every
time, whatever it is decoded beside.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor
from whisper.decoding import DecodingOptions, DecodingResult, DecodingTask
from whisper.model import Whisper
from whisper.utils import compression_ratio

from processors.whisper.decoder import kernels
from processors.whisper.decoder.audio_encoder import Encoder
from processors.whisper.decoder.cuda_graphs import Capture
from processors.whisper.decoder.graphed_greedy import Steady
from processors.whisper.decoder.kv_cache import Cache, Heard
from processors.whisper.decoder.logit_filters import Rules
from processors.whisper.decoder.text_decoder import Network
from processors.whisper.decoder.token_decoders import Beams, Candidate, Samples, Search

_SEED = 20250625
_MOST_TASKS = 16  # kept: as many kinds of options

Found = tuple[list[Candidate], float]  # all that was found for a window, and the probability of no speech in it


class BatchDecoder:
    """Decodes on one model."""

    def __init__(self, model: Whisper, dtype: torch.dtype, in_8_bits: bool = False, capture: Capture | None = None):
        """`in_8_bits`: linear layers that read sound, and the vocabulary, are rounded; see `kernels.choose`.
        `capture`: greedy decoding stays on the device, and its steps are recorded by it; None: the host decides at each
        step who goes on, as for all other decoding."""
        self._model = model
        made_of = kernels.choose(model, dtype, in_8_bits)
        self.encoder = Encoder(model.encoder, dtype, made_of.linear, made_of.attention)
        self._made_of = made_of
        self.network = Network(model, dtype, made_of)
        self._tasks: dict[str, DecodingTask] = {}  # by all options but the prompt
        self._steady = Steady(self.network, capture) if capture else None

    def encode(self, mel: Tensor, positions: int | None = None) -> Tensor:
        """One window's mel spectrogram (n_mels, 3000) -> (positions, width)."""
        return self.encode_all([mel], [positions])[0]

    @torch.inference_mode()
    def encode_all(
        self, mels: Sequence[Tensor], positions: Sequence[int | None], roughly: bool = False
    ) -> list[Tensor]:
        """The same for several windows; on a GPU, neighbours of the same length in one pass. `roughly`: by the
        rough encoder, if there is one."""
        encoder = (roughly and self.rough_encoder) or self.encoder
        return encoder.encode_all(
            [mel if many is None else mel[:, : 2 * many] for mel, many in zip(mels, positions, strict=True)]
        )

    @cached_property
    def rough_encoder(self) -> Encoder | None:
        """One in bfloat16; None: it would not be faster here. It is a copy of the weights, made when asked for."""
        made_of, encoder = self._made_of, self.encoder
        can_be = encoder.device.type == "cpu" and encoder.dtype == torch.float32 and not made_of.is_rounded
        linear = kernels.choose_rough(self._model, made_of.linear) if can_be else None
        return Encoder(self._model.encoder, encoder.dtype, linear, made_of.attention) if linear else None

    @torch.inference_mode()
    def decode(self, features: Sequence[Tensor], options: Sequence[DecodingOptions]) -> list[DecodingResult]:
        """Encoded windows, each (its own positions, width), with one `DecodingOptions` each -> one result each.

        The options may differ in their prompts only; the language must be set.
        """
        tasks = [self._task(each) for each in options]
        run = self._run_steadily if self._steady and _is_greedy(options[0]) else self._run
        results = []
        for task, each, (candidates, no_speech) in zip(tasks, features, run(features, tasks), strict=True):
            results.append(_result(task, candidates, each, no_speech))
        return results

    def check(self, options: DecodingOptions) -> None:
        """
        Raises:
            Exception: what whisper raises for options that it can do nothing with.
        """
        self._task(options)

    def _task(self, options: DecodingOptions) -> DecodingTask:
        """What whisper makes of the options. That takes as long as several steps, so it is kept: but for the prompt,
        they are the same again and again."""
        kind = repr(replace(options, prompt=None))
        if kind not in self._tasks:
            if len(self._tasks) >= _MOST_TASKS:
                self._tasks.pop(next(iter(self._tasks)))
            fp16 = self.network.dtype == torch.float16
            task = DecodingTask(self._model, replace(options, prompt=None, fp16=fp16))
            Rules(task, 1, self.network.device)  # raises here what it would raise for all that are decoded beside it
            self._tasks[kind] = task
        task = copy(self._tasks[kind])
        task.options = replace(task.options, prompt=options.prompt)
        task.initial_tokens = task._get_initial_tokens()
        task.sample_begin = len(task.initial_tokens)
        task.sot_index = task.initial_tokens.index(task.tokenizer.sot)
        return task

    def free_memory(self) -> None:
        """Give the memory back that is kept for the next windows."""
        if self._steady:
            self._steady.free_memory()
        if self.network.device.type == "cuda":
            torch.cuda.empty_cache()

    def _run_steadily(self, features: Sequence[Tensor], tasks: list[DecodingTask]) -> list[Found]:
        cache, heard = self._steady.hear(tasks[0], features)
        lengths = [len(task.initial_tokens) for task in tasks]
        logits, no_speech = self._read_prompts(tasks, torch.tensor(lengths, device=self.network.device), cache, heard)
        found = self._steady.decode(tasks[0], lengths, logits)
        return [([each], probability) for each, probability in zip(found, no_speech, strict=True)]

    def _run(self, features: Sequence[Tensor], tasks: list[DecodingTask]) -> list[Found]:
        task, search = tasks[0], _search(tasks[0], len(tasks))
        group = search.group
        lengths = torch.tensor([len(each.initial_tokens) for each in tasks], device=self.network.device)
        heard, cache = self.network.hear(features), self.network.cache(len(tasks), int(lengths.max()))
        logits, no_speech = self._read_prompts(tasks, lengths, cache, heard)
        if group > 1:
            rows = torch.arange(len(tasks), device=self.network.device).repeat_interleave(group)
            logits, lengths = logits[rows], lengths[rows]
            cache.select(rows)
        rules, refine = Rules(task, len(logits), self.network.device), None
        is_greedy = _is_greedy(task.options)
        for step in range(1, task.sample_len + 1):
            rules.apply(logits, refine)
            is_last = (lengths + 1 > task.n_ctx) | torch.tensor(step == task.sample_len, device=lengths.device)
            tokens, rows, windows = search.advance(logits, is_last[::group].tolist())
            if not len(tokens):
                break
            if windows is not None:
                heard.select(windows)
                cache.select(rows)
            elif rows is not None:
                cache.reorder(rows, int(lengths.max()))
            if rows is not None:
                lengths, rules = lengths[rows], rules.select(rows)
            rules.note(tokens)
            states = self.network.step(tokens, lengths, cache, heard)
            if is_greedy:
                logits, refine = self.network.logits_of_likeliest(states, task.tokenizer.eot)
            else:
                logits = self.network.logits(states)
            lengths = lengths + 1
        return [(search.found(number), probability) for number, probability in enumerate(no_speech)]

    def _read_prompts(
        self, tasks: list[DecodingTask], lengths: Tensor, cache: Cache, heard: Heard
    ) -> tuple[Tensor, list[float]]:
        """The logits behind each prompt (n, vocabulary), and the probability of no speech in each window."""
        tokenizer, device = tasks[0].tokenizer, self.network.device
        prompts = [torch.tensor(task.initial_tokens, device=device) for task in tasks]
        padded = torch.nn.utils.rnn.pad_sequence(prompts, batch_first=True, padding_value=tokenizer.eot)
        states = self.network.read(padded, cache, heard)
        each = torch.arange(len(tasks), device=device)
        starts = torch.tensor([task.sot_index for task in tasks], device=device)
        logits, at_start = self.network.logits_of_prompts(
            torch.cat([states[each, lengths - 1], states[each, starts]])
        ).chunk(2)
        if tokenizer.no_speech is None:
            return logits, [float("nan")] * len(tasks)
        return logits, at_start.softmax(-1)[:, tokenizer.no_speech].tolist()


def _is_greedy(options: DecodingOptions) -> bool:
    return options.temperature == 0 and options.beam_size is None


def _search(task: DecodingTask, windows: int) -> Search:
    options, end = task.options, task.tokenizer.eot
    if options.beam_size is not None:
        return Beams(windows, end, options.beam_size, options.patience or 1.0)
    return Samples(windows, end, options.best_of or 1, options.temperature, _SEED)


def _result(task: DecodingTask, candidates: list[Candidate], features: Tensor, no_speech: float) -> DecodingResult:
    """The best candidate, as whisper ranks them."""
    tokens, sums = [each[0] for each in candidates], [each[1] for each in candidates]
    (best,) = task.sequence_ranker.rank([[torch.tensor(each) for each in tokens]], [sums])
    text = task.tokenizer.decode(tokens[best]).strip()
    return DecodingResult(
        audio_features=features,
        language=task.options.language,
        tokens=tokens[best],
        text=text,
        avg_logprob=sums[best] / (len(tokens[best]) + 1),
        no_speech_prob=no_speech,
        temperature=task.options.temperature,
        compression_ratio=compression_ratio(text),
    )
