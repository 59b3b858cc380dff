"""Decode batches of windows by the rules of `whisper.decoding`.

Each window gets the same result as from `whisper.decode` alone: the windows share only the arithmetic, and a window
that has ended leaves the batch. Above temperature 0 each window has its own random generator, so that its text is the
same every time, whatever the other windows are.
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

from processors.malloc import give_back
from processors.whisper.decoder import kernels, mapped
from processors.whisper.decoder.audio_encoder import AudioEncoder
from processors.whisper.decoder.cuda_graphs import Capture
from processors.whisper.decoder.graphed_greedy import GraphedGreedyDecoder
from processors.whisper.decoder.kv_cache import CrossKVCache, KVCache
from processors.whisper.decoder.logit_filters import LogitFilter
from processors.whisper.decoder.text_decoder import TextDecoder
from processors.whisper.decoder.token_decoders import BeamSearchDecoder, Candidate, GreedyDecoder, TokenDecoder
from processors.whisper.decoder.vocabulary import Refine

_SEED = 20250625
_MAX_TASKS = 16  # cached: one for each kind of options

Decoded = tuple[list[Candidate], float]  # the candidates of a window, and the probability of no speech in it


class BatchDecoder:
    """Decodes windows with one model."""

    def __init__(self, model: Whisper, dtype: torch.dtype, in_8_bits: bool = False, capture: Capture | None = None):
        """in_8_bits: the linear layers of the encoder and of cross-attention, and the vocabulary, are quantized; see
        `kernels.choose`. capture: greedy decoding stays on the device, and this captures its steps; None: the host
        decides at each step which windows continue, as for all other decoding."""
        self._model = model
        self._kernels = kernels.choose(model, dtype, in_8_bits)
        self.audio_encoder = AudioEncoder(model.encoder, dtype, self._kernels.linear, self._kernels.attention)
        self.text_decoder = TextDecoder(model, dtype, self._kernels)
        self._tasks: dict[str, DecodingTask] = {}  # by all options except the prompt
        self._graphed = GraphedGreedyDecoder(self.text_decoder, capture) if capture else None
        self._forget_stored_weights()

    def encode(self, mel: Tensor, positions: int | None = None) -> Tensor:
        """One window's mel spectrogram (n_mels, 3000) -> (positions, width)."""
        return self.encode_all([mel], [positions])[0]

    @torch.inference_mode()
    def encode_all(
        self, mels: Sequence[Tensor], positions: Sequence[int | None], in_bfloat16: bool = False
    ) -> list[Tensor]:
        """The same for several windows; on a GPU, neighbors of the same length in one pass. in_bfloat16: by the
        bfloat16 encoder, if there is one."""
        encoder = (in_bfloat16 and self.bfloat16_encoder) or self.audio_encoder
        return encoder.encode_all(
            [mel if many is None else mel[:, : 2 * many] for mel, many in zip(mels, positions, strict=True)]
        )

    @cached_property
    def bfloat16_encoder(self) -> AudioEncoder | None:
        """An encoder in bfloat16; None if it would not be faster here. Allocates a copy of the weights on first use."""
        usual, own = self.audio_encoder, self._kernels
        is_possible = usual.device.type == "cpu" and usual.dtype == torch.float32 and not own.is_quantized
        linear = kernels.choose_bfloat16(self._model, own.linear) if is_possible else None
        encoder = None
        if linear:
            attention = kernels.choose_bfloat16_attention(own.attention)
            encoder = AudioEncoder(self._model.encoder, usual.dtype, linear, attention, torch.bfloat16)
            self.text_decoder.prepare_approximate()
        self._forget_stored_weights()
        return encoder

    @torch.inference_mode()
    def decode(
        self, features: Sequence[Tensor], options: Sequence[DecodingOptions], is_approximate: bool = False
    ) -> list[DecodingResult]:
        """Encoded windows, each (its own positions, width), with one `DecodingOptions` each -> one result each.

        The options may differ in their prompts only; the language must be set. is_approximate: see
        `TextDecoder.cross_cache`; not on a GPU.
        """
        if self.text_decoder.device.type == "cpu":
            give_back()  # free the memory of the encoder: the caches are as large
            mapped.release_code()  # and the code that only the encoder ran
        tasks = [self._task(each) for each in options]
        if self._graphed and _is_greedy(options[0]):
            decoded = self._run_graphed(self._graphed, features, tasks)
        else:
            decoded = self._run(features, tasks, is_approximate)
        results = []
        for task, each, (candidates, no_speech) in zip(tasks, features, decoded, strict=True):
            results.append(_result(task, candidates, each, no_speech))
        return results

    def check(self, options: DecodingOptions) -> None:
        """
        Raises:
            Exception: what whisper raises for options that it cannot decode with.
        """
        self._task(options)

    def _task(self, options: DecodingOptions) -> DecodingTask:
        """whisper's task for the options. Making one takes as long as several steps, so those for all options except
        the prompt are cached: they recur."""
        kind = repr(replace(options, prompt=None))
        if kind not in self._tasks:
            if len(self._tasks) >= _MAX_TASKS:
                self._tasks.pop(next(iter(self._tasks)))
            fp16 = self.text_decoder.dtype == torch.float16
            task = DecodingTask(self._model, replace(options, prompt=None, fp16=fp16))
            LogitFilter(task, 1, self.text_decoder.device)  # raises here what it would raise for a batch
            self._tasks[kind] = task
        task = copy(self._tasks[kind])
        task.options = replace(task.options, prompt=options.prompt)
        task.initial_tokens = task._get_initial_tokens()
        task.sample_begin = len(task.initial_tokens)
        task.sot_index = task.initial_tokens.index(task.tokenizer.sot)
        return task

    def _forget_stored_weights(self) -> None:
        """Free the memory that making layers on a CPU took, and the mapped weights."""
        if self.text_decoder.device.type == "cpu":
            mapped.release(self._model.parameters())
            give_back()

    def free_memory(self) -> None:
        """Free the memory that the decoder otherwise reserves for the next windows."""
        if self._graphed:
            self._graphed.free_memory()
        if self.text_decoder.device.type == "cuda":
            torch.cuda.empty_cache()

    def _run_graphed(
        self, graphed: GraphedGreedyDecoder, features: Sequence[Tensor], tasks: list[DecodingTask]
    ) -> list[Decoded]:
        cache, cross_cache = graphed.prepare(tasks[0], features)
        lengths = [len(task.initial_tokens) for task in tasks]
        logits, refine, no_speech = self._prefill(
            tasks, torch.tensor(lengths, device=self.text_decoder.device), cache, cross_cache
        )
        found = graphed.decode(tasks[0], lengths, logits)
        return [([each], probability) for each, probability in zip(found, no_speech, strict=True)]

    def _run(self, features: Sequence[Tensor], tasks: list[DecodingTask], is_approximate: bool) -> list[Decoded]:
        task, decoder = tasks[0], _token_decoder(tasks[0], len(tasks))
        group = decoder.group
        is_sampling = task.options.temperature > 0
        if not is_sampling and self.text_decoder.prepare(is_greedy=_is_greedy(task.options)):
            self._forget_stored_weights()
        lengths = torch.tensor([len(each.initial_tokens) for each in tasks], device=self.text_decoder.device)
        cross_cache = self.text_decoder.cross_cache(features, is_approximate)
        cache = self.text_decoder.empty_cache(len(tasks), int(lengths.max()))
        logits, refine, no_speech = self._prefill(tasks, lengths, cache, cross_cache)
        if group > 1:
            each_row = torch.arange(len(tasks), device=self.text_decoder.device).repeat_interleave(group)
            logits, lengths = logits[each_row], lengths[each_row]
            cache.select(each_row)
        logit_filter = LogitFilter(task, len(logits), self.text_decoder.device)
        for step in range(1, task.sample_len + 1):
            logit_filter.apply(logits, refine)
            is_last = (lengths + 1 > task.n_ctx) | torch.tensor(step == task.sample_len, device=lengths.device)
            tokens, rows, windows = decoder.update(logits, is_last[::group].tolist())
            if not len(tokens):
                break
            if rows is not None and windows is not None:
                cross_cache.select(windows)
                cache.select(rows)
            elif rows is not None:
                cache.rearrange(rows, int(lengths.max()))
            if rows is not None:
                lengths, logit_filter = lengths[rows], logit_filter.select(rows)
            logit_filter.update(tokens)
            states = self.text_decoder.step(tokens, lengths, cache, cross_cache)
            logits, refine = self._logits(states, task)
            lengths = lengths + 1
        if is_sampling:
            self._forget_stored_weights()
        return [(decoder.finalize(number), probability) for number, probability in enumerate(no_speech)]

    def _prefill(
        self, tasks: list[DecodingTask], lengths: Tensor, cache: KVCache, cross_cache: CrossKVCache
    ) -> tuple[Tensor, Refine | None, list[float]]:
        """The logits after each prompt (n, vocabulary), a function if they need refinement before a greedy choice, and
        the probability of no speech in each window."""
        tokenizer, device = tasks[0].tokenizer, self.text_decoder.device
        prompts = [torch.tensor(task.initial_tokens, device=device) for task in tasks]
        padded = torch.nn.utils.rnn.pad_sequence(prompts, batch_first=True, padding_value=tokenizer.eot)
        states = self.text_decoder.prefill(padded, cache, cross_cache)
        each = torch.arange(len(tasks), device=device)
        starts = torch.tensor([task.sot_index for task in tasks], device=device)
        logits, refine = self._logits(states[each, lengths - 1], tasks[0])
        if tokenizer.no_speech is None:
            return logits, refine, [float("nan")] * len(tasks)
        at_start = self._logits_for_sums(states[each, starts], tasks[0])
        return logits, refine, at_start.softmax(-1)[:, tokenizer.no_speech].tolist()

    def _logits(self, states: Tensor, task: DecodingTask) -> tuple[Tensor, Refine | None]:
        """(rows, width) -> (rows, vocabulary), and a function if these need refinement before a greedy choice."""
        if task.options.temperature > 0:  # rare
            return self.text_decoder.logits_of_stored(states), None
        if task.options.beam_size is None and not self._graphed:
            return self.text_decoder.logits_for_argmax(states, task.tokenizer.eot)
        return self.text_decoder.logits(states), None

    def _logits_for_sums(self, states: Tensor, task: DecodingTask) -> Tensor:
        if _is_greedy(task.options) and not self._graphed:
            return self.text_decoder.logits_for_sums(states, task.tokenizer.eot)
        return self._logits(states, task)[0]


def _is_greedy(options: DecodingOptions) -> bool:
    return options.temperature == 0 and options.beam_size is None


def _token_decoder(task: DecodingTask, windows: int) -> TokenDecoder:
    options, end = task.options, task.tokenizer.eot
    if options.beam_size is not None:
        return BeamSearchDecoder(windows, end, options.beam_size, options.patience or 1.0)
    return GreedyDecoder(windows, end, options.best_of or 1, options.temperature, _SEED)


def _result(task: DecodingTask, candidates: list[Candidate], features: Tensor, no_speech: float) -> DecodingResult:
    """The best candidate, as whisper ranks them."""
    tokens, sums = [each[0] for each in candidates], [each[1] for each in candidates]
    (best,) = task.sequence_ranker.rank([[torch.tensor(each) for each in tokens]], [sums])
    text = task.tokenizer.decode(tokens[best]).strip()
    assert task.options.language is not None  # see `decode`
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
