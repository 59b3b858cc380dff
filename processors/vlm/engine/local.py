"""A local model in transformers: answers a few pages at a time, with token probabilities. Never uses the network."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from transformers import LogitsProcessorList, PreTrainedModel, StoppingCriteriaList

from processors import torch_device
from processors.contract import JobError, OutOfMemory, Progress, Unavailable
from processors.device_errors import is_device_lost, is_out_of_memory
from processors.pages.page import reduce
from processors.vlm import VlmOptions, families
from processors.vlm.engine import weights
from processors.vlm.engine.batch_sizes import BatchSizes, bytes_per_token
from processors.vlm.engine.chat import ChatProcessor
from processors.vlm.engine.fixed_cache import FixedCache
from processors.vlm.engine.generation import (
    GrammarCache,
    StopAtLimitOrLoop,
    TokenProbabilities,
    end_tokens,
    greedy_config,
)
from processors.vlm.engine.loading import choose_device, load_model
from processors.vlm.families import GENERAL, Family
from processors.vlm.types import PageAnswer, PageRequest, StopReason

if TYPE_CHECKING:
    from transformers._typing import GenerativePreTrainedModel

_FEWEST_PIXELS = 200_000  # A4 at 45 dpi: a page is not shown smaller than that to make it fit

log = logging.getLogger(__name__)


class TransformersEngine:
    """One loaded model; for one thread, as transformers stores the positions of the last batch in the model."""

    is_concurrent = False

    def __init__(
        self,
        model: PreTrainedModel,
        chat: ChatProcessor,
        pages_at_once: int,
        max_pixels: int | None = None,
        family: Family = GENERAL,
        cache: str = "dynamic",
    ):
        """max_pixels: of a page that is not a statement, receipt or invoice; None: the same as for those.
        cache: of keys and values, "dynamic" or "static"."""
        self.family = family
        self._model, self._chat = model, chat
        self.max_pixels_of_money = chat.max_pixels
        self.max_pixels = min(
            chat.max_pixels, max_pixels or chat.max_pixels
        )  # of a page; a larger one would be reduced again
        ends = end_tokens(model.generation_config, chat.tokenizer.eos_token_id, chat.turn_end())
        model.generation_config = greedy_config(model.generation_config, ends, chat.tokenizer.pad_token_id)
        self._ends = torch.tensor(ends)
        text = model.config.get_text_config()
        self._room = text.max_position_embeddings
        self._per_token = bytes_per_token(text, model.dtype), chat.pixels_per_token
        self.pages_at_once = pages_at_once
        scores = model.get_output_embeddings().weight.shape[0]
        self._grammars = GrammarCache(chat.tokenizer, scores, ends)
        self.made_by = {"model": str(model.name_or_path), "dtype": str(model.dtype), "max_pixels": self.max_pixels}
        self.made_by["decoding"] = "greedy, without penalties"
        if self.max_pixels_of_money != self.max_pixels:
            self.made_by["max_pixels_of_money"] = self.max_pixels_of_money
        self._cache = FixedCache(model, cache)
        if self._cache.is_on:
            self.made_by["cache"] = "static"
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
            family = families.of_folder(folder, options.model)
            most = options.pixels_of_money(family, choose_device(options.device).type)
            chat = ChatProcessor.load(folder, most, family)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            fix = weights.how_to_fix(options.model, folder, models)
            raise Unavailable(f"The model in {folder} cannot be used: {str(error).strip()[:300]} {fix}") from error
        model = load_model(folder, options, models)
        return cls(model, chat, options.at_once, options.pixels(family), family, options.cache)

    @property
    def pages_at_once(self) -> int:
        return self._sizes.most

    @pages_at_once.setter
    def pages_at_once(self, most: int) -> None:
        self._sizes = BatchSizes(most, self._model.device, *self._per_token)

    @property
    def fewest_at_once(self) -> int:
        """The smallest batch size that a lack of memory has enforced."""
        return self._sizes.smallest

    @property
    def device_name(self) -> str:
        return torch_device.device_name(self._model.device)

    def answer(self, requests: Sequence[PageRequest], heartbeat: Callable[[], None]) -> list[PageAnswer]:
        """Return greedily decoded answers to `requests`, in their order; call `heartbeat` about once a second.

        Requests of similar size form batches, as large as memory permits. When memory runs out, batches become
        permanently smaller; a page that does not fit alone is reduced, which `PageAnswer.size_seen` shows.

        Raises:
            OutOfMemory: a single request does not fit, however small its page.
        """
        answers: dict[int, PageAnswer] = {}
        waiting = sorted(range(len(requests)), key=lambda index: self._sizes.key(requests[index]))
        while waiting:
            is_text_only = _is_text_only(requests[waiting[0]])
            together = [index for index in waiting if _is_text_only(requests[index]) == is_text_only]
            together = together[: self._sizes.fitting([requests[index] for index in together])]
            found = self._try([requests[index] for index in together], heartbeat)
            if found is None:
                continue
            answers.update(zip(together, found, strict=True))
            waiting = [index for index in waiting if index not in answers]
        return [answers[index] for index in range(len(requests))]

    def close(self) -> None:
        """The memory is freed with the process."""

    def answer_one(self, request: PageRequest) -> PageAnswer:
        raise NotImplementedError("this engine answers batches")

    def _try(self, requests: Sequence[PageRequest], heartbeat: Callable[[], None]) -> list[PageAnswer] | None:
        """Return the answers; None if memory ran out and the batch must be smaller.

        Raises:
            OutOfMemory: see `answer`.
        """
        work = partial(self._answer, heartbeat=heartbeat)
        try:
            return self._sizes.limit(requests).attempt(requests, work)
        except Exception as error:
            if not is_out_of_memory(error):
                return self._alone(requests, heartbeat, error)
            cause = error.with_traceback(None)  # the traceback holds the tensors
        torch_device.release_cache(self._model.device)  # only here, after the `except` has released them
        smaller = _with_fewer_pixels(requests[0])
        if smaller is None:
            raise OutOfMemory(
                f"One page does not fit into the memory of {self.device_name}: lower `max_pixels` or "
                "`max_new_tokens`, or choose a smaller model."
            ) from cause
        size = smaller.image.size if smaller.image is not None else (0, 0)
        log.warning("memory ran out with a single page; reducing it to half its pixels: %d x %d", *size)
        return self._try([smaller], heartbeat)

    def _alone(
        self, requests: Sequence[PageRequest], heartbeat: Callable[[], None], error: Exception
    ) -> list[PageAnswer] | None:
        """Retry requests that failed together one by one, so that an error affects only its own page. None: retry them
        together, with the other kind of cache."""
        if isinstance(error, JobError) or is_device_lost(error):
            raise error
        if self._cache.is_on:
            self._cache.turn_off(error)
            return None
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
        model = cast("GenerativePreTrainedModel", self._model)  # every class of AutoModelForImageTextToText is one
        prompt_tokens = inputs["input_ids"].shape[1]
        stopping = StopAtLimitOrLoop(limits, prompt_tokens, self._ends.tolist(), self._model.device, heartbeat)
        constraint, probabilities = self._grammars.constraint(requests), TokenProbabilities()
        output = model.generate(
            **inputs,
            max_new_tokens=max(limits),
            stopping_criteria=StoppingCriteriaList([stopping]),
            logits_processor=LogitsProcessorList([*filter(None, [constraint]), probabilities]),
            **self._cache.arguments(prompt_tokens + max(limits)),
        )
        assert isinstance(output, torch.Tensor)  # without `return_dict_in_generate`
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
        """Answer the requests that leave room for an answer; the model would answer a longer one with nonsense."""
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
        text = self._chat.decode(tokens[:length])
        token_probabilities: tuple[tuple[int, float], ...] = ()
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


def _is_text_only(request: PageRequest) -> bool:
    return request.image is None


def _with_fewer_pixels(request: PageRequest) -> PageRequest | None:
    """The same with half the pixels; None: too few would be left to be legible."""
    if request.image is None:
        return None
    pixels = request.image.width * request.image.height
    return replace(request, image=reduce(request.image, pixels // 2)) if pixels // 2 >= _FEWEST_PIXELS else None
