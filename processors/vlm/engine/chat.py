"""Converts requests into a model's input tensors (chat template, tokenizer, image processor), and tokens into text."""

import importlib.util
import inspect
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Protocol, runtime_checkable

import torch
import transformers
from jinja2 import TemplateError
from PIL import Image, ImageOps
from transformers import BatchFeature, ProcessorMixin
from transformers.models.auto.configuration_auto import AutoConfig
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING, AutoProcessor

from processors.contract import Unavailable
from processors.vlm.families import GENERAL, Family
from processors.vlm.types import PageRequest

_LONGEST_SHAPE = 190.0  # long side to short side; Qwen's image processor refuses ratios over 200
_PIXELS_PER_TOKEN = 28 * 28  # as Qwen2.5-VL; Qwen3-VL has 32 x 32
_PROBE = "answer-5f1e"  # of the model, to find what a chat template writes after one
_SMALLEST_AREA = 4_096  # `size` of an image processor: a smaller number is an edge's length, not a number of pixels


@runtime_checkable
class _CutsPatches(Protocol):
    """An image processor of Qwen's kind: a token is a square of merged patches."""

    patch_size: int  # pixels
    merge_size: int  # patches


class ChatProcessor:
    """The chat template, tokenizer and image processor of one model."""

    def __init__(self, processor: ProcessorMixin, max_pixels: int, family: Family = GENERAL):
        self._processor, self._family = processor, family
        self.tokenizer = processor.tokenizer
        # Answers continue at the right end: padding there corrupts half of them (of 16 correct ones, 8 remained).
        self.tokenizer.padding_side = "left"
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.max_pixels, self._size = _limit(processor.image_processor, max_pixels)
        self._longest_shape = _longest_shape(processor.image_processor, self._size)

    @property
    def pixels_per_token(self) -> int:
        """The pixels of a page that become one token, to estimate its length."""
        patch = getattr(self._processor.image_processor, "patch_size", None)
        merged = getattr(self._processor.image_processor, "merge_size", None)
        return (patch * merged) ** 2 if isinstance(patch, int) and isinstance(merged, int) else _PIXELS_PER_TOKEN

    @classmethod
    def load(cls, folder: Path, max_pixels: int, family: Family = GENERAL) -> "ChatProcessor":
        """Load the processor of the model in `folder`, which will get no page of more than `max_pixels`.

        Raises:
            Unavailable: the installed transformers is too old to load it safely.
            OSError, ValueError: the folder's files are damaged, or transformers does not know the model.
        """
        processor = load_processor(folder)
        known = inspect.signature(ProcessorMixin.apply_chat_template).parameters
        if "sanitize_control_tokens" not in known or "processor_kwargs" not in known:
            raise Unavailable("The installed transformers is too old: install transformers 5.23 or newer.")
        return cls(processor, max_pixels, family)

    def prepare(self, requests: Sequence[PageRequest]) -> BatchFeature:
        """Return the processor's inputs for `requests`, padded on the left; pass all of them to `generate`.

        If `mm_token_type_ids` is missing, for example, the positions of the pixels are silently wrong: of 23 correct
        answers, none remained correct. Either all requests have a page, or none has.

        Raises:
            Unavailable: answers of this model would be corrupt.
        """
        conversations = [[{"role": "user", "content": self._content(request)}] for request in requests]
        inputs = self._template(
            conversations,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            sanitize_control_tokens=True,  # "<|im_end|>" in a prompt means these ten characters
            processor_kwargs={"padding": True} | ({"size": self._size} if self._size else {}),
        )
        assert isinstance(inputs, BatchFeature)  # `return_dict`
        if not bool(inputs["attention_mask"][:, -1].all()):
            raise Unavailable(
                "The tokenizer of this model pads on the right, which silently corrupts answers: choose another "
                "`model` in [processors.vlm]."
            )
        return inputs

    def _template(self, turns: Sequence[object], **options: object) -> object:
        """Apply the chat template to one or several conversations; return text, or the processor's inputs."""
        options |= self._family.template
        return self._processor.apply_chat_template(turns, **options)  # type: ignore[arg-type]  # annotated for texts

    def _content(self, request: PageRequest) -> list[dict[str, object]]:
        text: dict[str, object] = {"type": "text", "text": request.prompt}
        if request.image is None:
            return [text]
        image = {"type": "image", "image": _in_shape(request.image, self._longest_shape)}
        return [image, text] if request.prompt else [image]

    def sizes_seen(self, inputs: BatchFeature, requests: Sequence[PageRequest]) -> list[tuple[int, int] | None]:
        """The (width, height) in pixels in which the model sees each page. Either all requests have a page, or none."""
        if requests[0].image is None:
            return [None] * len(requests)
        grids, patch = inputs.get("image_grid_thw"), getattr(self._processor.image_processor, "patch_size", None)
        if grids is None or not isinstance(patch, int):
            return [request.image.size if request.image is not None else None for request in requests]
        return [(int(width) * patch, int(height) * patch) for _, height, width in grids.tolist()]

    def turn_end(self) -> int | None:
        """The token by which the chat template ends the model's turn; None: the template does not show it."""
        turns = [
            {"role": "user", "content": [{"type": "text", "text": "?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": _PROBE}]},
        ]
        try:
            written = self._template(turns, tokenize=False)
        except (ValueError, TypeError, KeyError, TemplateError):
            return None
        if not isinstance(written, str):
            return None
        after = written.rpartition(_PROBE)[2].lstrip()
        special = self.tokenizer.get_added_vocab()
        return next(
            (number for token, number in special.items() if _PROBE in written and after.startswith(token)), None
        )

    def decode(self, tokens: torch.Tensor) -> str:
        """The text of `tokens`, int64, shape (n_tokens,), without control tokens and surrounding whitespace."""
        skips = not self._family.keeps_tags
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=skips, clean_up_tokenization_spaces=False)
        return text.strip()


def _limit(image_processor: object, max_pixels: int) -> tuple[int, dict[str, int] | None]:
    """The maximum number of pixels of a page, by `max_pixels` and the model's own limit, and the `size` that sets it.

    Only image processors of Qwen's kind count pixels; by Qwen's own default one page may take 16,384 tokens. Others
    resize pages to the size that they were trained for.
    """
    size = getattr(image_processor, "size", None) or {}
    shortest, longest = (size.get(name) for name in ("shortest_edge", "longest_edge"))
    if not hasattr(image_processor, "merge_size") or not shortest or not longest or longest < _SMALLEST_AREA:
        return max_pixels, None
    longest = min(longest, max_pixels)
    return longest, {"shortest_edge": min(shortest, longest), "longest_edge": longest}


def _longest_shape(image_processor: object, size: dict[str, int] | None) -> float:
    """The largest ratio of long side to short side. The short side is rounded up to one token without shortening the
    long side: a longer page would exceed the limit of pixels."""
    if size is None or not isinstance(image_processor, _CutsPatches):
        return _LONGEST_SHAPE
    token_edge = image_processor.patch_size * image_processor.merge_size
    return min(_LONGEST_SHAPE, size["longest_edge"] / token_edge**2)


def _in_shape(image: Image.Image, longest_shape: float) -> Image.Image:
    """Pad the short side of an image that is too long with white."""
    long, short = max(image.size), min(image.size)
    wide = math.ceil(long / longest_shape)
    if short >= wide:
        return image
    size = (long, wide) if image.width == long else (wide, long)
    return ImageOps.pad(image, size, color="white")


# ---------------------------------------------------------------------------------------------- without torchvision


def load_processor(folder: Path) -> ProcessorMixin:
    """Load transformers' processor of the model in `folder`, even if torchvision is not installed.

    Processors of models that also watch videos want a video processor, which needs torchvision (transformers 5.23:
    "Qwen2VLVideoProcessor requires the Torchvision library"). Pages need neither.

    Raises:
        Unavailable: it needs torchvision, and torchvision is not installed.
        OSError, ValueError: the folder's files are damaged, or transformers does not know the model.
    """
    loaded: ProcessorMixin
    if importlib.util.find_spec("torchvision") is not None:
        loaded = AutoProcessor.from_pretrained(folder, local_files_only=True)
        return loaded
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    mapped = PROCESSOR_MAPPING.get(type(config), None)
    kind = mapped if isinstance(mapped, type) else _named_processor(folder)
    try:
        if kind is not None and "video_processor" in kind.get_attributes():
            loaded = _without_video(kind).from_pretrained(folder, local_files_only=True)
        else:
            loaded = AutoProcessor.from_pretrained(folder, local_files_only=True)
        return loaded
    except ImportError as error:
        raise Unavailable(
            f"The model {folder.name} needs torchvision to prepare images. "
            "Install torchvision beside torch, in the same version series, or choose another model."
        ) from error


def _named_processor(folder: Path) -> type[ProcessorMixin] | None:
    """The class that the model's files name, as AutoProcessor finds it; GLM-OCR's, for example, is that of GLM-4.6V."""
    for name in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        try:
            found = json.loads((folder / name).read_text(encoding="utf-8")).get("processor_class")
        except (OSError, ValueError, AttributeError):
            continue
        if found:
            return getattr(transformers, found, None)
    return None


def _places_with_default(function: FunctionType) -> range:
    """The indexes of the positional parameters that have a default."""
    count = function.__code__.co_argcount
    return range(count - len(function.__defaults__ or ()), count)


def _with_default(function: FunctionType) -> FunctionType:
    """A copy whose last required parameter is None by default. transformers reads the names of the parameters from the
    code, so a wrapper would not work."""
    defaults = (None, *(function.__defaults__ or ()))
    return FunctionType(function.__code__, function.__globals__, function.__name__, defaults, function.__closure__)


class _ImagesOnly(ProcessorMixin):
    """Stands between a processor and its base class, and keeps the absent video processor from the latter."""

    video_processor = SimpleNamespace(num_frames=None, fps=None)  # SmolVLM's chat template asks for them

    def __init__(self, *parts: object, video_processor: object = None, **options: object):
        own = (part for part in parts if part is not None)
        super().__init__(*own, **options)  # type: ignore[no-untyped-call]  # transformers'


def _without_video(kind: type[ProcessorMixin]) -> type[ProcessorMixin]:
    """A subclass of `kind` that processes only images and text.

    `ProcessorMixin.__init__` takes its parts by position, in the order of `get_attributes`; so the video processor,
    None by default, can be left out if it comes last.
    """
    parts = [name for name in kind.get_attributes() if name != "video_processor"]
    accepted = [name for name in inspect.signature(kind.__init__).parameters if name != "self"]
    if accepted[: len(parts)] != parts:
        raise ImportError(f"{kind.__name__} takes its video processor before its other parts")

    def get_attributes(cls: type[ProcessorMixin]) -> list[str]:
        return list(parts)

    module = sys.modules[kind.__module__]
    if getattr(module, "num2words", str) is None:
        # SmolVLM refuses to load without the library that spells the number of video frames.
        vars(module)["num2words"] = str
    members: dict[str, object] = {"get_attributes": classmethod(get_attributes)}
    init: object = kind.__init__
    assert isinstance(init, FunctionType)  # written in Python
    if accepted[len(parts)] == "video_processor" and len(parts) + 1 not in _places_with_default(init):
        members["__init__"] = _with_default(init)
    return type(kind.__name__, (kind, _ImagesOnly), members)
