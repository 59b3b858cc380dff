"""transformers over a few pages at a time: each answer, and how far it is to be trusted. Never touches the network."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from transformers import LogitsProcessorList, PreTrainedConfig, PreTrainedModel, StoppingCriteriaList

from processors.contract import JobError, OutOfMemory, Progress, Unavailable, is_device_lost
from processors.pages.page import reduce
from processors.vlm import VlmOptions
from processors.vlm.engine import weights
from processors.vlm.engine.chat import Chat
from processors.vlm.engine.generation import Probabilities, Watch
from processors.vlm.engine.grammar import Grammars
from processors.vlm.engine.loading import free_bytes, load_model
from processors.vlm.types import Answer, Question, StopReason

_PIXELS_PER_TOKEN = 28 * 28  # of Qwen's models; a guess for others
_CHARACTERS_PER_TOKEN = 3
_CPU_IS_OUT_OF_MEMORY = ("can't allocate memory", "could not create a primitive")  # torch's allocator, and oneDNN
_FEWEST_PIXELS = 200_000  # A4 at 45 dpi: a page is not shown smaller than that to make it fit
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
        text = model.config.get_text_config()
        self._room = text.max_position_embeddings
        self._bytes_per_token = _bytes_per_token(text, model.dtype)
        scores = model.get_output_embeddings().weight.shape[0]
        self._grammars = Grammars(chat.tokenizer, scores, self._ends.tolist())
        self.made_by = {"model": str(model.name_or_path), "dtype": str(model.dtype), "max_pixels": chat.max_pixels}
        self.made_by["attention"] = model.config._attn_implementation
        self.made_by["quantization"] = type(getattr(model, "hf_quantizer", None)).__name__

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

        Those of a kind and size are asked together, as many as fit. Where memory ends, fewer are asked at once, from
        then on, too; a page that does not fit alone is shown smaller, which `Answer.size_seen` tells.

        Raises:
            OutOfMemory: a single question does not fit, however small its page.
        """
        answers: dict[int, Answer] = {}
        waiting = sorted(range(len(questions)), key=lambda index: _size(questions[index]))
        while waiting:
            together = [index for index in waiting if _is_text(questions[index]) == _is_text(questions[waiting[0]])]
            together = together[: self._room_for([questions[index] for index in together])]
            found = self._try([questions[index] for index in together], alive)
            if found is None:
                continue
            answers.update(zip(together, found, strict=True))
            waiting = [index for index in waiting if index not in answers]
        return [answers[index] for index in range(len(questions))]

    def _room_for(self, questions: Sequence[Question]) -> int:
        """How many of `questions`, which are sorted by size, fit into the free memory by a rough reckoning: half of it
        for keys and values, the rest for what comes and goes."""
        at_once = min(self.pages_at_once, len(questions))
        free = free_bytes(self._model.device)
        while free is not None and at_once > 1:
            largest = questions[at_once - 1]
            if at_once * (_size(largest)[1] + largest.token_limit) * self._bytes_per_token <= free // 2:
                break
            at_once -= 1
        return at_once

    def _try(self, questions: Sequence[Question], alive: Callable[[], None]) -> list[Answer] | None:
        """The answers; None if memory ended, and fewer are to be asked at once.

        Raises:
            OutOfMemory: see `answer`.
        """
        try:
            return self._answer(questions, alive)
        except Exception as error:
            if not _is_out_of_memory(error):
                return self._alone(questions, alive, error)
            cause = error.with_traceback(None)  # which holds the tensors
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()  # only here, after the except
        if len(questions) > 1:
            self.pages_at_once = len(questions) // 2
            log.warning("memory ended with %d pages at once; going on with %d", len(questions), self.pages_at_once)
            return None
        smaller = _with_fewer_pixels(questions[0])
        if smaller is None:
            raise OutOfMemory(
                f"One page does not fit into the memory of {self.device_name}: lower `max_pixels` or "
                "`max_new_tokens`, or choose a smaller model."
            ) from cause
        log.warning("memory ended with a single page; it is shown with half its pixels: %d x %d", *smaller.image.size)
        return self._try([smaller], alive)

    def _alone(self, questions: Sequence[Question], alive: Callable[[], None], error: Exception) -> list[Answer] | None:
        """Retry questions that failed together one by one, so that an error affects only its own page."""
        if isinstance(error, JobError) or is_device_lost(error):
            raise error
        if len(questions) > 1:
            log.warning("%d pages failed together; retrying each separately", len(questions), exc_info=error)
            found = [self._try([question], alive) for question in questions]
            return [answer for answers in found for answer in answers or ()]
        log.error("the model failed at a page", exc_info=error)
        size = questions[0].image.size if questions[0].image is not None else None
        return [
            Answer(
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
        watch = Watch(limits, prompt_tokens, self._ends.tolist(), self._model.device, alive)
        constraint, probabilities = self._grammars.constraint(questions), Probabilities()
        output = self._model.generate(
            **inputs,
            max_new_tokens=max(limits),
            stopping_criteria=StoppingCriteriaList([watch]),
            logits_processor=LogitsProcessorList([*filter(None, [constraint]), probabilities]),
        )
        generated, chosen = output[:, prompt_tokens:].cpu(), probabilities.table()
        return [
            self._read(question, generated[row], chosen[row], watch.cut(row), lengths[row], sizes[row])
            for row, question in enumerate(questions)
        ]

    def _answer_fitting(
        self,
        questions: Sequence[Question],
        alive: Callable[[], None],
        room: list[int],
        sizes: list[tuple[int, int] | None],
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
        question: Question,
        tokens: torch.Tensor,
        chosen: torch.Tensor,
        cut: tuple[int, StopReason],
        prompt_tokens: int,
        size: tuple[int, int] | None,
    ) -> Answer:
        """One row: tokens int64 and chosen float32, both (n_steps,); behind its end a row is padding."""
        length, reason = cut
        ends = torch.isin(tokens[:length], self._ends).nonzero()
        if len(ends):
            length, reason = int(ends[0]) + 1, StopReason.STOP
        text, marks = self._chat.decode(tokens[:length]), ()
        if question.json_schema is not None:
            text, places = self._grammars.spell(tokens[:length].tolist())
            marks = tuple(zip(places, chosen[:length].tolist(), strict=True))
        return Answer(
            text=text,
            stop_reason=reason,
            tokens=length,
            prompt_tokens=prompt_tokens,
            lowest_token_probability=round(float(chosen[:length].min()), 4),
            size_seen=size,
            marks=marks,
        )


def _is_out_of_memory(error: Exception) -> bool:
    kinds = (torch.OutOfMemoryError, MemoryError)  # the second: numpy's, of pixels that are being prepared
    return isinstance(error, kinds) or any(words in str(error) for words in _CPU_IS_OUT_OF_MEMORY)


def _bytes_per_token(text: PreTrainedConfig, dtype: torch.dtype) -> int:
    """What one token of one row takes in the cache of keys and values."""
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return 2 * text.num_hidden_layers * heads * width * dtype.itemsize


def _is_text(question: Question) -> bool:
    return question.image is None


def _size(question: Question) -> tuple[bool, float]:
    """Whether it has a page, and about how many tokens it is long."""
    pixels = 0 if question.image is None else question.image.width * question.image.height
    return not _is_text(question), pixels / _PIXELS_PER_TOKEN + len(question.prompt) / _CHARACTERS_PER_TOKEN


def _with_fewer_pixels(question: Question) -> Question | None:
    """The same with half the pixels; None: it has so few that nothing would be legible."""
    pixels = 0 if question.image is None else question.image.width * question.image.height
    return replace(question, image=reduce(question.image, pixels // 2)) if pixels // 2 >= _FEWEST_PIXELS else None
