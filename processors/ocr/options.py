"""The options of `[processors.ocr]` and of its recipes. Imported by the daemon: nothing heavy."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from processors.contract import Options
from processors.ocr.languages import LANGUAGES
from processors.options import MAX_PIXELS, MAX_THREADS, split_list
from processors.statements.writing.csv_style import CsvOptions
from processors.statements.writing.formats import FORMATS as MONEY_FORMATS
from processors.statements.writing.formats import OPTIONAL_FORMATS

Task = Literal["read", "bank-statement", "receipt", "invoice"]
Format = Literal["txt", "md", "json", "pdf", "hocr", "csv", "xlsx", "ofx", "qif", "beancount"]

DEFAULT_FORMATS: Mapping[str, tuple[Format, ...]] = {  # by task; the first is what a person opens
    "read": ("txt", "json"),
    **MONEY_FORMATS,
}
_KNOWN_FORMATS: Mapping[str, tuple[Format, ...]] = {
    "read": ("txt", "md", "json", "pdf", "hocr"),
    **{task: (*formats, *OPTIONAL_FORMATS.get(task, ()), "txt") for task, formats in MONEY_FORMATS.items()},
}


class OcrOptions(Options):
    engine: Literal["rapidocr"] = "rapidocr"
    device: Literal["auto", "cpu"] = "auto"  # both mean the CPU: a page takes one to three seconds
    threads: int | None = Field(default=None, ge=1, le=MAX_THREADS)  # None: this worker's share of the cores


class ReadOptions(CsvOptions):
    task: Task = "read"
    formats: Annotated[tuple[Format, ...], BeforeValidator(split_list)] = ()  # empty: the task's defaults
    dpi: int = Field(default=200, ge=50, le=600)  # at which PDF pages are rendered
    max_pixels: int = Field(default=6_000_000, ge=100_000, le=MAX_PIXELS)  # a larger page is reduced
    min_confidence: float = Field(default=0.8, ge=0, le=1)  # a page with a lower mean needs review
    min_row_confidence: float = Field(default=0.7, ge=0, le=1)  # of a statement's row: its least certain word
    text_layer: Literal["auto", "never"] = "auto"  # "never": use OCR even for PDF pages with a text layer
    languages: Annotated[
        tuple[str, ...], BeforeValidator(split_list)
    ] = ()  # beyond those of the built-in model: see `languages`
    small_models: Literal["auto", "never"] = "auto"  # "auto": task "read" uses the models ocr-fast… if they are stored
    second_reading: Literal["auto", "always", "never"] = "auto"  # of a statement's pages; auto: if something disagrees
    remember_layouts: bool = True  # of statements whose balances confirm how they were read, for later statements

    @model_validator(mode="after")
    def _check_languages(self) -> "ReadOptions":
        if unknown := [name for name in self.languages if name not in LANGUAGES]:
            known = ", ".join(sorted(LANGUAGES))
            raise ValueError(
                f"no OCR model for {', '.join(unknown)}; choose from: {known}. "
                "Latin script, Chinese and Japanese need none"
            )
        return self

    @model_validator(mode="after")
    def _check_formats(self) -> "ReadOptions":
        known = _KNOWN_FORMATS[self.task]
        if wrong := [name for name in self.formats if name not in known]:
            raise ValueError(f'task "{self.task}" cannot write {", ".join(wrong)}; choose from: {", ".join(known)}')
        return self
