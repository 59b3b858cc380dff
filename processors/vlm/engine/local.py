"""A local model in transformers: answers a few pages at a time, with token probabilities. Never uses the network."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from transformers import LogitsProcessorList, PreTrainedConfig, PreTrainedModel, StoppingCriteriaList

from processors import torch_device
from processors.contract import JobError, OutOfMemory, Progress, Unavailable, is_device_lost
from processors.pages.page import reduce
from processors.vlm import VlmOptions
from processors.vlm.engine import weights
from processors.vlm.engine.chat import ChatProcessor
from processors.vlm.engine.generation import (
    GrammarCache,
    StopAtLimitOrLoop,
    TokenProbabilities,
    end_tokens,
    greedy_config,
)
from processors.vlm.engine.loading import choose_device, free_bytes, load_model
from processors.vlm.types import PageAnswer, PageRequest, StopReason

_PIXELS_PER_TOKEN = 28 * 28  # of Qwen2.5-VL; Qwen3-VL has 32 x 32, so that its pages are shorter than estimated
_CHARACTERS_PER_TOKEN = 3
_FEWEST_PIXELS = 200_000  # A4 at 45 dpi: a page is not shown smaller than that to make it fit

log = logging.getLogger(__name__)


class TransformersEngine:
    """One loaded model; for one thread, as transformers stores the positions of the last batch in the model."""

    def __init__(self, model: PreTrainedModel, chat: ChatProcessor, pages_at_once: int, max_pixels: int | None = None):
        """`max_pixels`: of a page that is no statement, receipt or invoice; None: as of those."""
        self._model, self._chat = model, chat
        self.max_pixels_of_money = chat.max_pixels
        self.max_pixels = min(chat.max_pixels, max_pixels or chat.max_pixels)  # of a page: more would be reduced again
        self.pages_at_once = pages_at_once  # shrinks when memory runs out
        ends = end_tokens(model.generation_config, chat.tokenizer.eos_token_id, chat.turn_end())
        model.generation_config = greedy_config(model.generation_config, ends, chat.tokenizer.pad_token_id)
        self._ends = torch.tensor(ends)
        text = model.config.get_text_config()
        self._room = text.max_position_embeddings
        self._bytes_per_token = _bytes_per_token(text, model.dtype)
        scores = model.get_output_embeddings().weight.shape[0]
        self._grammars = GrammarCache(chat.tokenizer, scores, ends)
        self.made_by = {"model": str(model.name_or_path), "dtype": str(model.dtype), "max_pixels": self.max_pixels}
        self.made_by["decoding"] = "greedy, without penalties"
        if self.max_pixels_of_money != self.max_pixels:
            self.made_by["max_pixels_of_money"] = self.max_pixels_of_money
        self.made_by["attention"] = model.config._attn_implementation
        self.made_by["quantization"] = type(getattr(model, "hf_quantizer", None)).__name__

    @classmethod
    def load(cls, options: VlmOptions, models: Path, progress: Progress) -> "TransformersEngine":
        """Load the model of `options`.

        Raises:
            Unavailable: it is not installed or damaged, or there is no such device, or too little memory.
        """
        if options.threads:
            torch.set_num_threads(options.threads)
        folder = weights.find(options.model, models)
        if folder is None:
            raise Unavailable(weights.why_missing(options.model, models))
        progress.loading(0, weights.size_bytes(folder), "bytes")
        try:
            most = options.max_pixels_of_money(choose_device(options.device).type)
            chat = ChatProcessor.load(folder, most)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            fix = weights.how_to_fix(options.model, folder, models)
            raise Unavailable(f"The model in {folder} cannot be used: {str(error).strip()[:300]} {fix}") from error
        return cls(load_model(folder, options, models), chat, options.pages_at_once, options.max_pixels)

    @property
    def device_name(self) -> str:
        return torch_device.device_name(self._model.device)

    def answer(self, requests: Sequence[PageRequest], heartbeat: Callable[[], None]) -> list[PageAnswer]:
        """Return greedily decoded answers to `requests`, in their order; call `heartbeat` about once a second.

        Requests of similar size form batches, as large as memory permits. When memory runs out, batches become smaller
        for good; a page that does not fit alone is reduced, which `PageAnswer.size_seen` shows.

        Raises:
            OutOfMemory: a single request does not fit, however small its page.
        """
        answers: dict[int, PageAnswer] = {}
        waiting = sorted(range(len(requests)), key=lambda index: _size(requests[index]))
        while waiting:
            is_text_only = _is_text_only(requests[waiting[0]])
            together = [index for index in waiting if _is_text_only(requests[index]) == is_text_only]
            together = together[: self._room_for([requests[index] for index in together])]
            found = self._try([requests[index] for index in together], heartbeat)
            if found is None:
                continue
            answers.update(zip(together, found, strict=True))
            waiting = [index for index in waiting if index not in answers]
        return [answers[index] for index in range(len(requests))]

    def _room_for(self, requests: Sequence[PageRequest]) -> int:
        """Estimate how many of `requests`, which are sorted by size, fit into the free memory: half of it for keys and
        values, the rest for activations."""
        at_once = min(self.pages_at_once, len(requests))
        free = free_bytes(self._model.device)
        while free is not None and at_once > 1:
            largest = requests[at_once - 1]
            if at_once * (_size(largest)[1] + largest.token_limit) * self._bytes_per_token <= free // 2:
                break
            at_once -= 1
        return at_once

    def _try(self, requests: Sequence[PageRequest], heartbeat: Callable[[], None]) -> list[PageAnswer] | None:
        """Return the answers; None if memory ran out and the batch must be smaller.

        Raises:
            OutOfMemory: see `answer`.
        """
        try:
            return self._answer(requests, heartbeat)
        except Exception as error:
            if not torch_device.is_out_of_memory(error):
                return self._alone(requests, heartbeat, error)
            cause = error.with_traceback(None)  # the traceback holds the tensors
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()  # only here, after the `except` has released them
        if len(requests) > 1:
            self.pages_at_once = len(requests) // 2
            log.warning("memory ran out with %d pages at once; continuing with %d", len(requests), self.pages_at_once)
            return None
        smaller = _with_fewer_pixels(requests[0])
        if smaller is None:
            raise OutOfMemory(
                f"One page does not fit into the memory of {self.device_name}: lower `max_pixels` or "
                "`max_new_tokens`, or choose a smaller model."
            ) from cause
        log.warning("memory ran out with a single page; reducing it to half its pixels: %d x %d", *smaller.image.size)
        return self._try([smaller], heartbeat)

    def _alone(
        self, requests: Sequence[PageRequest], heartbeat: Callable[[], None], error: Exception
    ) -> list[PageAnswer] | None:
        """Retry requests that failed together one by one, so that an error affects only its own page."""
        if isinstance(error, JobError) or is_device_lost(error):
            raise error
        if len(requests) > 1:
            log.warning("%d pages failed together; retrying each separately", len(requests), exc_info=error)
            found = [self._try([request], heartbeat) for request in requests]
            return [answer for answers in found for answer in answers or ()]
        log.error("the model failed on a page", exc_info=error)
        size = requests[0].image.size if requests[0].image is not None else None
        return [
            PageAnswer(
                text="",
                stop_reason=StopReason.ERROR,
                tokens=0,
                prompt_tokens=0,
                lowest_token_probability=None,
                size_seen=size,
                error="Internal error in the model on this page; see the log.",
            )
        ]

    @torch.inference_mode()
    def _answer(self, requests: Sequence[PageRequest], heartbeat: Callable[[], None]) -> list[PageAnswer]:
        inputs = self._chat.prepare(requests)
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        sizes = self._chat.sizes_seen(inputs, requests)
        room = [self._room - length for length in lengths]
        if min(room) < 1:
            return self._answer_fitting(requests, heartbeat, room, sizes)
        limits = [min(request.token_limit, left) for request, left in zip(requests, room, strict=True)]
        inputs = inputs.to(self._model.device, dtype=self._model.dtype)
        prompt_tokens = inputs["input_ids"].shape[1]
        stopping = StopAtLimitOrLoop(limits, prompt_tokens, self._ends.tolist(), self._model.device, heartbeat)
        constraint, probabilities = self._grammars.constraint(requests), TokenProbabilities()
        output = self._model.generate(
            **inputs,
            max_new_tokens=max(limits),
            stopping_criteria=StoppingCriteriaList([stopping]),
            logits_processor=LogitsProcessorList([*filter(None, [constraint]), probabilities]),
        )
        generated, chosen = output[:, prompt_tokens:].cpu(), probabilities.table()
        return [
            self._read(request, generated[row], chosen[row], stopping.cut(row), lengths[row], sizes[row])
            for row, request in enumerate(requests)
        ]

    def _answer_fitting(
        self,
        requests: Sequence[PageRequest],
        heartbeat: Callable[[], None],
        room: list[int],
        sizes: list[tuple[int, int] | None],
    ) -> list[PageAnswer]:
        """Answer the requests that leave room for an answer; to a longer one the model would answer nonsense."""
        fitting = [request for request, left in zip(requests, room, strict=True) if left >= 1]
        answers = iter(self._answer(fitting, heartbeat) if fitting else [])
        return [
            next(answers)
            if left >= 1
            else PageAnswer(
                text="",
                stop_reason=StopReason.NO_ROOM,
                tokens=0,
                prompt_tokens=self._room - left,
                lowest_token_probability=None,
                size_seen=size,
            )
            for left, size in zip(room, sizes, strict=True)
        ]

    def _read(
        self,
        request: PageRequest,
        tokens: torch.Tensor,
        chosen: torch.Tensor,
        cut: tuple[int, StopReason],
        prompt_tokens: int,
        size: tuple[int, int] | None,
    ) -> PageAnswer:
        """The answer in one row: tokens int64 and chosen float32, both (n_steps,); after its end a row is padding."""
        length, reason = cut
        ends = torch.isin(tokens[:length], self._ends).nonzero()
        if len(ends):
            length, reason = int(ends[0]) + 1, StopReason.STOP
        text, token_probabilities = self._chat.decode(tokens[:length]), ()
        if request.json_schema is not None:
            text, places = self._grammars.spell(tokens[:length].tolist())
            token_probabilities = tuple(zip(places, chosen[:length].tolist(), strict=True))
        return PageAnswer(
            text=text,
            stop_reason=reason,
            tokens=length,
            prompt_tokens=prompt_tokens,
            lowest_token_probability=round(float(chosen[:length].min()), 4),
            size_seen=size,
            token_probabilities=token_probabilities,
        )


def _bytes_per_token(text: PreTrainedConfig, dtype: torch.dtype) -> int:
    """The size of one token of one row in the key/value cache."""
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return 2 * text.num_hidden_layers * heads * width * dtype.itemsize


def _is_text_only(request: PageRequest) -> bool:
    return request.image is None


def _size(request: PageRequest) -> tuple[bool, float]:
    """Return true if it has a page, and its approximate length in tokens."""
    pixels = 0 if request.image is None else request.image.width * request.image.height
    return not _is_text_only(request), pixels / _PIXELS_PER_TOKEN + len(request.prompt) / _CHARACTERS_PER_TOKEN


def _with_fewer_pixels(request: PageRequest) -> PageRequest | None:
    """The same with half the pixels; None: too few would be left to be legible."""
    pixels = 0 if request.image is None else request.image.width * request.image.height
    return replace(request, image=reduce(request.image, pixels // 2)) if pixels // 2 >= _FEWEST_PIXELS else None
