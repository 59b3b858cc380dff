"""The options of `[processors.vlm]` and of its recipes. Imported by the daemon: nothing heavy."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from processors.options import DEVICES, MAX_AT_ONCE, MAX_PIXELS, MAX_THREADS, split_list
from processors.quantities import Seconds
from processors.remote import ServerOptions
from processors.statements.writing.csv_style import CsvOptions
from processors.statements.writing.formats import FORMATS, OPTIONAL_FORMATS
from processors.vlm import prompts
from processors.vlm.extract import load_schema

if TYPE_CHECKING:
    from processors.vlm.families import Family

Task = Literal["read", "describe", "summarize", "minutes", "ask", "extract", "bank-statement", "receipt", "invoice"]
Format = Literal["md", "txt", "json", "csv", "xlsx", "ofx", "qif", "beancount"]

_MAX_NEW_TOKENS = {"read": 4096, "describe": 1024, "summarize": 1024, "minutes": 2048, "ask": 2048, "extract": 4096}
_MAX_NEW_TOKENS |= {"bank-statement": 8192, "receipt": 4096, "invoice": 8192}
_MAX_TOKENS = 1_000_000  # more than the context of any model
# flagged 36 of 55 wrong answers and 2 of 41 correct ones: benchmarks/VLM.md; no use for free text
_THRESHOLD = dict.fromkeys(("extract", "bank-statement", "receipt", "invoice"), 0.7)
_DEFAULT_FORMATS: Mapping[str, tuple[Format, ...]] = {"extract": ("json",), **FORMATS}  # of other tasks: md and json
_AT_ONCE, _SERVED_AT_ONCE = 8, 32
# vLLM's recipe for OCR: no prefix is shared between pages, and no image is sent twice. Without the first option of the
# generation, the penalties of the model's author would apply.
_PARALLEL = {"-tp", "-pp", "-dp"}  # vLLM's short forms of --tensor-parallel-size …
_VLLM = (
    *("vllm", "serve", "{model}", "--served-model-name", "{name}", "--host", "{host}", "--port", "{port}"),
    *("--generation-config", "vllm", "--max-model-len", "16384"),
    *("--limit-mm-per-prompt", '{"image": 1, "video": 0}', "--mm-processor-cache-gb", "0"),
    "--no-enable-prefix-caching",
)
_TEXT_FORMATS = ("md", "txt", "json")
_TASKS_OF_TEXTS = {"ask", "describe", "extract", "minutes", "summarize"}


class VlmOptions(ServerOptions):
    """`[processors.vlm]`"""

    max_batch: int = Field(default=8, ge=1, le=MAX_AT_ONCE)
    # auto: OCR serves `read` until weights are installed; vllm: a server that the worker starts
    engine: Literal["auto", "transformers", "openai", "vllm"] = "auto"
    model: str = Field(default="Qwen/Qwen3-VL-4B-Instruct", min_length=1)  # a name on Hugging Face, or a folder
    # auto: CUDA if available
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description=DEVICES)
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"  # auto: float32 on the CPU, else bfloat16
    attention: Literal["auto", "sdpa", "flash_attention_2", "eager"] = "auto"  # auto: flash if available
    quantization: Literal["none", "8bit", "4bit"] = "none"  # of the language part, by bitsandbytes: inboxd[quantized]
    # of keys and values: dynamic grows token by token; static has a fixed size, for which torch compiles a CUDA graph
    cache: Literal["dynamic", "static"] = "dynamic"
    # of a page as the model sees it; None: by the model, for most 1,280,000, and 2,300,000 for statements on a GPU
    max_pixels: int | None = Field(default=None, ge=3_136, le=MAX_PIXELS)
    # finds the regions of pages for models that were trained on these; "none": such models read complete pages, as they
    # do until it is installed
    layout: str = Field(default="PaddlePaddle/PP-DocLayoutV3_safetensors", min_length=1)
    # in one forward pass, also from several jobs; fewer if memory runs out; None: 8, or 32 requests to its own server
    pages_at_once: int | None = Field(default=None, ge=1, le=MAX_AT_ONCE)
    # the command of a server with OpenAI's API, which the worker starts; {port}, {model}, {name}, {host} and {key} are
    # replaced; None: vLLM's, with engine = "vllm"
    server: tuple[str, ...] | None = Field(default=None, min_length=1)
    server_args: tuple[str, ...] = ()  # further arguments of vLLM, such as "--gpu-memory-utilization=0.5"
    start_timeout: Seconds = Field(default=900.0, gt=0)  # until that server is ready
    threads: int | None = Field(default=None, ge=1, le=MAX_THREADS)  # on the CPU; None: torch decides

    @model_validator(mode="after")
    def _has_one_server(self) -> "VlmOptions":
        if self.server is not None and self.engine in ("transformers", "openai"):
            raise ValueError(f'`server` does not work with engine = "{self.engine}": leave one of them out')
        if self.server is not None and not any("{port}" in each for each in self.server):
            raise ValueError("`server` must contain {port}: the port on which the server listens")
        if self.server_args and self.engine != "vllm":
            raise ValueError('`server_args` needs engine = "vllm": add the arguments to `server` instead')
        return self

    @property
    def is_served(self) -> bool:
        """True if the worker starts a server."""
        return self.engine == "vllm" or self.server is not None

    @property
    def server_command(self) -> tuple[str, ...]:
        return (*(self.server or _VLLM), *self.server_args)

    @property
    def may_use_all_gpus(self) -> bool:
        """True if the server may compute on several GPUs: vLLM only if its arguments request that."""
        is_parallel = any("parallel" in each or each in _PARALLEL for each in self.server_args)
        return self.server is not None or is_parallel

    @property
    def serves_local_weights(self) -> bool:
        """True if the server needs the weights that `inboxd models fetch` stores."""
        return self.is_served and any("{model}" in each for each in self.server_command)

    @property
    def at_once(self) -> int:
        """The pages in a batch, or the requests to a server at the same time."""
        return self.pages_at_once or (_SERVED_AT_ONCE if self.is_served else _AT_ONCE)

    def pixels(self, family: "Family") -> int:
        """The maximum number of pixels of a page."""
        return self.max_pixels or family.max_pixels

    def pixels_of_money(self, family: "Family", device: str) -> int:
        """The maximum number of pixels of a page of a statement, receipt or invoice; `device`: "cpu", "cuda" …"""
        default = family.max_pixels_of_money if device == "cuda" else family.max_pixels
        return self.max_pixels or max(default, family.max_pixels)


class AskOptions(CsvOptions):
    """`[recipes.NAME]`"""

    only_in_config: ClassVar[frozenset[str]] = frozenset({"json_schema"})  # it can name any file

    task: Task = "ask"  # all others have a built-in prompt
    prompt: str | None = Field(default=None, max_length=prompts.MAX_BYTES)  # for every page; None: NAME.prompt
    json_schema: dict[str, object] | None = None  # of `extract`: a file beside config.toml, or a table; what a page has
    # per page; None: 4096 to read, 1024 to describe …
    max_new_tokens: int | None = Field(default=None, ge=1, le=_MAX_TOKENS)
    retries: int = Field(default=2, ge=0, le=3)  # of a page after a bad answer, each with another strategy
    # an answer with a lower one needs review; None: 0.7 to extract
    min_token_probability: float | None = Field(default=None, ge=0, le=1)
    # of statements, receipts and invoices: each amount must occur in the text layer, or in OCR of the page
    second_reading: Literal["auto", "never"] = "auto"
    page_text: bool = False  # also send the text of each page, from its text layer or OCR
    remember_layouts: bool = True  # of statements, while OCR reads them because the weights are missing
    dpi: int = Field(default=200, ge=36, le=1200)  # of PDF pages, before `max_pixels` reduces them
    # the first is what a person opens; None: md and json
    formats: Annotated[Annotated[tuple[Format, ...], Field(min_length=1)] | None, BeforeValidator(split_list)] = None

    @field_validator("prompt")
    @classmethod
    def _is_not_blank(cls, prompt: str | None) -> str | None:
        if prompt is not None and not prompt.strip():
            raise ValueError("is empty: write the prompt, or remove it and drop NAME.prompt beside each file")
        return prompt

    @field_validator("json_schema", mode="before")
    @classmethod
    def _is_schema(cls, given: object, info: ValidationInfo) -> object:
        """Replace a file name by the schema in it, so that the worker and the result have the schema that was used."""
        home = (info.context or {}).get("home") or Path()
        return given if given is None else load_schema(given, home)

    @model_validator(mode="after")
    def _fits_task(self) -> "AskOptions":
        if self.task == "extract" and self.json_schema is None:
            raise ValueError('task = "extract" needs `json_schema`: the file that describes what to extract')
        if self.task != "extract" and self.json_schema is not None:
            raise ValueError('`json_schema` works only with task = "extract": set that, or remove it')
        known = (*_DEFAULT_FORMATS.get(self.task, _TEXT_FORMATS), *OPTIONAL_FORMATS.get(self.task, ()))
        if self.task == "extract" and self.formats not in (None, known):
            raise ValueError('task = "extract" always writes JSON: remove `formats`')
        if wrong := [name for name in self.formats or () if name not in known]:
            raise ValueError(f'task = "{self.task}" cannot write {", ".join(wrong)}; choose from: {", ".join(known)}')
        return self

    @property
    def token_limit(self) -> int:
        return self.max_new_tokens or _MAX_NEW_TOKENS[self.task]

    @property
    def threshold(self) -> float:
        """The token probability below which an answer needs review."""
        return _THRESHOLD.get(self.task, 0.0) if self.min_token_probability is None else self.min_token_probability

    @property
    def written_formats(self) -> tuple[Format, ...]:
        return self.formats or _DEFAULT_FORMATS.get(self.task, ("md", "json"))

    @property
    def takes_text(self) -> bool:
        """True if the recipe can process a text without pages."""
        return self.task in _TASKS_OF_TEXTS

    @property
    def is_summary(self) -> bool:
        """True if the answers about the pages become one about the document."""
        return self.task in ("summarize", "minutes")

    @property
    def is_of_money(self) -> bool:
        """True if the answers are read as those of a statement, a receipt or an invoice, and verified."""
        return self.task in FORMATS

    @property
    def answer_schema(self) -> dict[str, object] | None:
        """The schema of the answer about a page; None: any text."""
        return _schema_of_money(self.task) if self.is_of_money else self.json_schema

    @property
    def wants_prompt(self) -> bool:
        """True if a file must wait for its NAME.prompt."""
        return self.task not in prompts.BUILT_IN and self.prompt is None


def _schema_of_money(task: str) -> dict[str, object]:
    from processors import statements  # not in the daemon

    schemas = {
        "bank-statement": statements.page_schema,
        "receipt": statements.receipt_schema,
        "invoice": statements.invoice_schema,
    }
    return schemas[task]()
