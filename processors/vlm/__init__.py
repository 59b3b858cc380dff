"""Questions about pictures and pages, answered by a vision-language model (VLM): text, descriptions, JSON.

    [inbox]
    image = "parties"

    [recipes.parties]
    processor = "vlm"
    prompt = "Who are the parties of this contract?"

    [processors.vlm]
    model = "Qwen/Qwen2.5-VL-3B-Instruct"

Imported by the daemon to check its configuration, so nothing heavy is imported here: `engine` (torch, transformers)
is imported once a worker loads, Pillow and pdfium once a page is decoded.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from processors.base import (
    Instead,
    Kind,
    Loaded,
    Missing,
    Options,
    Outcome,
    Plan,
    Processor,
    Progress,
    Ready,
    RecipeOptions,
    Work,
)
from processors.vlm import prompts, weights

Task = Literal["read", "describe", "ask"]
Format = Literal["md", "json"]

_MAX_NEW_TOKENS = {"read": 4096, "describe": 1024, "ask": 2048}  # a dense A4 page has about 1,500


class VlmOptions(Options):
    """`[processors.vlm]`"""

    max_batch: int = Field(default=8, ge=1)
    engine: Literal["auto", "transformers"] = "auto"  # auto: OCR serves `read` while the weights are not here
    model: str = Field(default="Qwen/Qwen2.5-VL-3B-Instruct", min_length=1)  # a hub's name, or a folder
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")  # auto: CUDA if there is any
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"  # auto: float32 on the CPU, else bfloat16
    max_pixels: int = Field(default=1_280_000, ge=3_136)  # of a page as the model sees it: A4 at 115 dpi
    pages_at_once: int = Field(
        default=8, ge=1
    )  # share a forward pass, also those of several jobs; fewer if memory ends
    threads: int | None = Field(default=None, ge=1)  # on the CPU; None: torch decides


class AskOptions(RecipeOptions):
    """`[recipes.NAME]`"""

    task: Task = "ask"  # read and describe bring a prompt of their own
    prompt: str | None = Field(default=None, max_length=prompts.MOST_BYTES)  # for every page; None: NAME.prompt
    max_new_tokens: int | None = Field(default=None, ge=1)  # a page; None: 4096 to read, 1024 to describe, 2048 to ask
    min_token_probability: float = Field(default=0.0, ge=0, le=1)  # a page with a less probable token is to be reviewed
    dpi: int = Field(default=200, ge=36, le=1200)  # of PDF pages, before `max_pixels` reduces them
    formats: tuple[Format, ...] = Field(default=("md", "json"), min_length=1)  # first: to open

    @field_validator("prompt")
    @classmethod
    def _says_something(cls, prompt: str | None) -> str | None:
        if prompt is not None and not prompt.strip():
            raise ValueError("is empty: write the question, or leave it out and drop NAME.prompt beside each file")
        return prompt

    @property
    def token_limit(self) -> int:
        return self.max_new_tokens or _MAX_NEW_TOKENS[self.task]


class Vlm(Processor):
    name = "vlm"
    kinds = frozenset({Kind.IMAGE})
    Options = VlmOptions
    Recipe = AskOptions

    @classmethod
    def plan(cls, options: VlmOptions, recipe: AskOptions, models: Path) -> Plan:
        if weights.find(options.model, models):
            return Ready()
        missing = weights.why_missing(options.model, models)
        if options.engine == "auto" and recipe.task == "read":
            ignored = " The recipe's prompt was not followed." if recipe.prompt else ""
            return Instead(processor="ocr", recipe={}, why=f"Read by OCR: {missing}{ignored}")
        alone = " OCR reads text, but cannot answer this." if options.engine == "auto" else ""
        return Missing(why=f"{missing}{alone}")

    @classmethod
    def wants_prompt(cls, recipe: AskOptions) -> bool:
        return recipe.task == "ask" and recipe.prompt is None

    def load(self, options: VlmOptions, models: Path, progress: Progress) -> Loaded:
        os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported: weights are fetched by command only
        from processors.vlm.engine import Engine

        self._engine = Engine.load(options, models, progress)
        return Loaded(engine="transformers", model=options.model, device=self._engine.device_name)

    def process(self, batch: Sequence[Work], progress: Progress) -> Iterator[tuple[Work, Outcome]]:
        from processors.vlm.rounds import Rounds

        yield from Rounds(self._engine, progress).outcomes(batch)


processor = Vlm
