"""Prompts about images and pages, answered by a vision-language model (VLM): text, descriptions, JSON.

    [inbox]
    image = "parties"

    [recipes.parties]
    processor = "vlm"
    prompt = "Who are the parties of this contract?"

    [processors.vlm]
    model = "Qwen/Qwen3-VL-4B-Instruct"

Imported by the daemon to check its configuration, so nothing heavy is imported here: `engine` (torch, transformers)
is imported once a worker loads, Pillow and pdfium once a page is decoded.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from processors import extras
from processors.contract import (
    GpuUse,
    Kind,
    Loaded,
    NotReady,
    Outcome,
    Plan,
    Processor,
    Progress,
    Runnable,
    Substitute,
    Work,
)
from processors.vlm import families
from processors.vlm.engine import weights
from processors.vlm.options import AskOptions, VlmOptions

if TYPE_CHECKING:
    from processors.vlm.document.layout_stage import LayoutStage
    from processors.vlm.types import VlmEngine

__all__ = ["AskOptions", "Vlm", "VlmOptions", "processor"]

_BY_OCR = {"read", "bank-statement", "receipt", "invoice"}  # tasks that OCR can also do
_BYTES_OF_A_PIXEL = 250  # bytes of the activations of a page; estimated, not measured on a GPU
_TOKENS_OF_A_PAGE = 12_000  # the page itself, and the longest answer, that about a statement


class Vlm(Processor[VlmOptions, AskOptions]):
    name = "vlm"
    kinds = frozenset({Kind.IMAGE, Kind.TEXT})  # of texts: what is asked about them
    Options = VlmOptions
    Recipe = AskOptions
    _engine: "VlmEngine | None" = None
    _layout: "LayoutStage | None" = None  # of models that were trained on regions

    @classmethod
    def plan(cls, options: VlmOptions, recipe: AskOptions, models: Path) -> Plan:
        if options.engine == "openai":
            return Runnable()  # only a request shows whether the server responds
        if options.is_served:
            found = weights.find(options.model, models) if options.serves_local_weights else models
            return Runnable() if found else NotReady(why=weights.why_missing(options.model, models))
        found = weights.find(options.model, models)
        if found and (why := _why_unable(found, options.model, recipe)):
            return NotReady(why=why)
        needed = ("vlm",) if options.quantization == "none" else ("vlm", "quantized")
        no_library = extras.why_missing(*needed, python=options.python)
        if found and not no_library:
            return Runnable()
        missing = no_library or weights.why_missing(options.model, models)
        if options.engine == "auto" and recipe.task in _BY_OCR:
            ignored = " The recipe's prompt was not followed." if recipe.prompt else ""
            task: dict[str, object] = {} if recipe.task == "read" else {"task": recipe.task}
            if not recipe.remember_layouts:
                task["remember_layouts"] = False
            return Substitute(processor="ocr", recipe=task, why=f"Read by OCR: {missing}{ignored}")
        alone = " OCR reads text, but this needs the model." if options.engine == "auto" and not no_library else ""
        return NotReady(why=f"{missing}{alone}", lacks_extra=bool(no_library))

    @classmethod
    def estimate_memory(cls, options: VlmOptions, models: Path) -> int:
        folder = None if options.engine == "openai" else weights.find(options.model, models)
        if folder is None:
            return 0
        size = weights.size_bytes(folder)
        family = families.of_folder(folder, options.model)
        pixels = options.pixels_of_money(family, "cpu" if options.device == "cpu" else "cuda")  # of the largest pages
        page = pixels * _BYTES_OF_A_PIXEL + _TOKENS_OF_A_PAGE * weights.cache_bytes_per_token(folder)
        # With less memory, the engine takes fewer pages at once.
        return int(size * weights.SHARE_LOADED[options.quantization] + min(options.at_once * page, page + size))

    @classmethod
    def gpu_use(cls, options: VlmOptions) -> GpuUse:
        if options.engine == "openai":
            return GpuUse.NONE
        return GpuUse.ALL if options.may_use_all_gpus else super().gpu_use(options)

    @classmethod
    def wants_prompt(cls, recipe: AskOptions) -> bool:
        return recipe.wants_prompt

    @classmethod
    def takes_text(cls, recipe: AskOptions) -> bool:
        return recipe.takes_text

    def load(self, options: VlmOptions, models: Path, progress: Progress) -> Loaded:
        if options.engine == "openai":
            from processors.vlm.engine.server import ServerEngine

            server = self._engine = ServerEngine.load(options)
            return Loaded(engine="openai", model=options.model, device=server.device_name)
        if options.is_served:
            from processors.vlm.engine.served import ServedEngine

            served = self._engine = ServedEngine.start(options, models, progress)
            engine = "vllm" if options.engine == "vllm" else "server"
            return Loaded(engine=engine, model=options.model, device=served.device_name)
        os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported: only a command downloads weights
        from processors.vlm.engine.local import TransformersEngine

        local = self._engine = TransformersEngine.load(options, models, progress)
        self._layout = _layout_stage(options, models, local)
        engine = "transformers" if options.quantization == "none" else f"transformers, {options.quantization}"
        return Loaded(engine=engine, model=options.model, device=local.device_name)

    def process(
        self, batch: Sequence[Work[AskOptions]], progress: Progress
    ) -> Iterator[tuple[Work[AskOptions], Outcome | Exception]]:
        from processors.vlm.document.batch import PageBatcher

        assert self._engine is not None  # by `load`
        yield from PageBatcher(self._engine, progress, self._layout).outcomes(batch)

    def unload(self) -> None:
        if self._engine is not None:
            self._engine.close()


def _layout_stage(options: VlmOptions, models: Path, engine: "VlmEngine") -> "LayoutStage | None":
    """The layout model, if the model was trained on regions, and the layout model is installed."""
    wants_layout = engine.family.region_prompts and options.layout != "none"
    folder = weights.find(options.layout, models) if wants_layout else None
    if folder is None:
        return None
    from processors.vlm.document.layout_stage import LayoutStage
    from processors.vlm.engine.layout import LayoutDetector
    from processors.vlm.engine.loading import choose_device

    detector = LayoutDetector.load(folder, options.layout, models, choose_device(options.device))
    return LayoutStage(detector, engine.family, engine.max_pixels)


def _why_unable(folder: Path, model: str, recipe: AskOptions) -> str:
    """Why the model cannot do the task of `recipe`; "" if it can."""
    if recipe.task == "read" or not families.of_folder(folder, model).only_reads:
        return ""
    return (
        f'The model {model} only reads text, so it cannot do the task "{recipe.task}": choose a general model in '
        "[processors.vlm] (see docs/models.md)."
    )


processor = Vlm
