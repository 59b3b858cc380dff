"""transformers' processor of a model, also where torchvision is not installed.

Processors of models that watch films, too, want a video processor, and that wants torchvision (transformers 5.23:
"Qwen2VLVideoProcessor requires the Torchvision library"). Pages need neither. Where torchvision is there,
`AutoProcessor` is all that is used.
"""

import importlib.util
import inspect
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoProcessor, ProcessorMixin
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

from processors.contract import Unavailable


def load_processor(folder: Path) -> ProcessorMixin:
    """The processor of the model in `folder`.

    Raises:
        Unavailable: it needs torchvision, and torchvision is not installed.
        OSError, ValueError: the folder's files are damaged, or of no model that transformers knows.
    """
    if importlib.util.find_spec("torchvision") is not None:
        return AutoProcessor.from_pretrained(folder, local_files_only=True)
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    kind = PROCESSOR_MAPPING.get(type(config), None)
    try:
        if kind is not None and "video_processor" in kind.get_attributes():
            return _without_video(kind).from_pretrained(folder, local_files_only=True)
        return AutoProcessor.from_pretrained(folder, local_files_only=True)
    except ImportError as error:
        raise Unavailable(
            f"The model {folder.name} needs torchvision to prepare its pictures. "
            "Install torchvision beside torch, in the same version series, or choose another model."
        ) from error


def _without_video(kind: type[ProcessorMixin]) -> type[ProcessorMixin]:
    """`kind` as a processor of images and text alone.

    `ProcessorMixin.__init__` takes its parts by position, in the order of `get_attributes`, and leaves off what is
    over: so the video processor, None by default, may be left out if it comes last.
    """
    parts = [name for name in kind.get_attributes() if name != "video_processor"]
    accepted = [name for name in inspect.signature(kind.__init__).parameters if name != "self"]
    if accepted[: len(parts)] != parts:
        raise ImportError(f"{kind.__name__} takes its video processor before its other parts")

    def get_attributes(cls: type[ProcessorMixin]) -> list[str]:
        return list(parts)

    members: dict[str, Any] = {"get_attributes": classmethod(get_attributes)}
    return type(kind.__name__, (kind,), members)
