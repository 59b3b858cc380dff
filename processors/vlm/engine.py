"""transformers over a few pages at a time: each answer, and how far it is to be trusted. Never touches the network."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteria,
    StoppingCriteriaList,
)

from processors.base import OutOfMemory, Progress, Unavailable
from processors.vlm import VlmOptions, repetition, weights
from processors.vlm.chat import Chat
from processors.vlm.checkpoint import load_model
from processors.vlm.question import Answer, Question, StopReason

_LOOP_CHECK_TOKENS = 64  # how often loops are looked for: it brings the tokens back from the GPU
_SIGN_SECONDS = 1.0  # how often a sign of life is given
_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "typical_p")  # of no use when greedy, and warned of

log = logging.getLogger(__name__)


class Engine:
    """One loaded model; for one thread, as transformers keeps the positions of the last batch on the model."""

    def __init__(self, model: PreTrainedModel, chat: Chat, pages_at_once: int):
        self._model, self._chat = model, chat
        self.pages_at_once = pages_at_once  # shrinks when memory ends
        config = model.generation_config
        config.do_sample = False
        for name in _SAMPLING:
            setattr(config, name, None)
        ends = config.eos_token_id if config.eos_token_id is not None else chat.tokenizer.eos_token_id
        self._ends = torch.tensor(ends if isinstance(ends, list) else [ends])
        config.pad_token_id = chat.tokenizer.pad_token_id
        self._room = model.config.get_text_config().max_position_embeddings

    @classmethod
    def load(cls, options: VlmOptions, models: Path, progress: Progress) -> "Engine":
        """The model of `options`, which must be at hand.

        Raises:
            Unavailable: it is not at hand or damaged, or there is no such device, or too little memory.
        """
        if options.threads:
            torch.set_num_threads(options.threads)
        folder = weights.find(options.model, models)
        if folder is None:
            raise Unavailable(weights.why_missing(options.model, models))
        progress.loading(0, weights.size_bytes(folder), "bytes")
        try:
            chat = Chat.load(folder, options.max_pixels)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            mend = weights.how_to_mend(options.model, folder, models)
            raise Unavailable(f"The model in {folder} cannot be used: {str(error).strip()[:300]} {mend}") from error
        return cls(load_model(folder, options, models), chat, options.pages_at_once)

    @property
    def max_pixels(self) -> int:
        """Of a page: more would be reduced again."""
        return self._chat.max_pixels

    @property
    def device_name(self) -> str:
        device = self._model.device
        return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)

    def answer(self, questions: Sequence[Question], alive: Callable[[], None]) -> list[Answer]:
        """The answers to `questions`, in their order, greedily decoded; `alive` is called about once a second.

        Where memory ends, fewer are asked at once, from then on, too.

        Raises:
            OutOfMemory: a single question does not fit.
        """
        if len(questions) > self.pages_at_once:
            half = self.pages_at_once
        else:
            try:
                return self._answer(questions, alive)
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                if len(questions) == 1:
                    raise OutOfMemory(
                        f"One page does not fit into the memory of {self.device_name}: lower `max_pixels` or "
                        "`max_new_tokens`, or choose a smaller model."
                    ) from error
            half = self.pages_at_once = len(questions) // 2
            log.warning("memory ended with %d pages at once; going on with %d", len(questions), half)
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()  # only here, after the except: until then the traceback holds the tensors
        return self.answer(questions[:half], alive) + self.answer(questions[half:], alive)

    @torch.inference_mode()
    def _answer(self, questions: Sequence[Question], alive: Callable[[], None]) -> list[Answer]:
        inputs = self._chat.prepare(questions)
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        sizes = self._chat.sizes_seen(inputs, questions)
        room = [self._room - length for length in lengths]
        if min(room) < 1:
            return self._answer_fitting(questions, alive, room, sizes)
        limits = [min(question.token_limit, left) for question, left in zip(questions, room, strict=True)]
        inputs = inputs.to(self._model.device, dtype=self._model.dtype)
        prompt_tokens = inputs["input_ids"].shape[1]
        watch = _Watch(limits, prompt_tokens, self._ends.tolist(), self._model.device, alive)
        probabilities = _Probabilities()
        output = self._model.generate(
            **inputs,
            max_new_tokens=max(limits),
            stopping_criteria=StoppingCriteriaList([watch]),
            logits_processor=LogitsProcessorList([probabilities]),
        )
        generated, chosen = output[:, prompt_tokens:].cpu(), probabilities.table()
        return [
            self._read(generated[row], chosen[row], watch.cut(row), lengths[row], sizes[row])
            for row in range(len(questions))
        ]

    def _answer_fitting(
        self, questions: Sequence[Question], alive: Callable[[], None], room: list[int], sizes: list[tuple[int, int]]
    ) -> list[Answer]:
        """Answer those that leave the model room to; a prompt over its limit would be answered with nonsense."""
        fitting = [question for question, left in zip(questions, room, strict=True) if left >= 1]
        answers = iter(self._answer(fitting, alive) if fitting else [])
        return [
            next(answers)
            if left >= 1
            else Answer(
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
        tokens: torch.Tensor,
        chosen: torch.Tensor,
        cut: tuple[int, StopReason],
        prompt_tokens: int,
        size: tuple[int, int],
    ) -> Answer:
        """One row: tokens int64 and chosen float32, both (n_steps,); behind its end a row is padding."""
        length, reason = cut
        ends = torch.isin(tokens[:length], self._ends).nonzero()
        if len(ends):
            length, reason = int(ends[0]) + 1, StopReason.STOP
        return Answer(
            text=self._chat.decode(tokens[:length]),
            stop_reason=reason,
            tokens=length,
            prompt_tokens=prompt_tokens,
            lowest_token_probability=round(float(chosen[:length].min()), 4),
            size_seen=size,
        )


class _Watch(StoppingCriteria):
    """Ends each row at its own limit, or once it is in an endless loop; gives signs of life."""

    def __init__(
        self, limits: list[int], prompt_tokens: int, ends: list[int], device: torch.device, alive: Callable[[], None]
    ):
        self._limits, self._device_limits = limits, torch.tensor(limits, device=device)
        self._looped: dict[int, int] = {}  # row -> tokens until it was ended
        self._prompt_tokens, self._ends = prompt_tokens, set(ends)
        self._alive, self._next_sign = alive, 0.0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **others: object) -> torch.Tensor:
        done = input_ids.shape[1] - self._prompt_tokens
        if (now := time.monotonic()) >= self._next_sign:
            self._alive()
            self._next_sign = now + _SIGN_SECONDS
        if done % _LOOP_CHECK_TOKENS == 0:
            for row, tokens in enumerate(input_ids[:, self._prompt_tokens :].tolist()):
                if row not in self._looped and self._ends.isdisjoint(tokens) and repetition.is_endless(tokens):
                    self._looped[row] = done
        over = self._device_limits <= done
        for row in self._looped:
            over[row] = True
        return over

    def cut(self, row: int) -> tuple[int, StopReason]:
        """How many tokens of a row count unless it ended itself before, and why no more."""
        if row in self._looped:
            return self._looped[row], StopReason.LOOP
        return self._limits[row], StopReason.LENGTH


class _Probabilities(LogitsProcessor):
    """Changes nothing; keeps with what probability each greedy token is chosen, not the scores of all words."""

    def __init__(self) -> None:
        self._steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores_float = scores.float()
        self._steps.append((scores_float.amax(dim=-1) - scores_float.logsumexp(dim=-1)).exp())
        return scores

    def table(self) -> torch.Tensor:
        """float32, shape (n_rows, n_steps), on the CPU."""
        return torch.stack(self._steps, dim=1).cpu()


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)  # the CPU's allocator
