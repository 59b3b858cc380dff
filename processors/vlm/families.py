"""The properties of each family of models: page sizes, prompts, chat templates, and the markup of their answers.

A family is identified by the `model_type` in a model's config.json, and by its name where several share a type, or
where a server holds the model. Pure data; docs/models.md recommends models. The sources are the models' cards and, for
the image processors, transformers 5.23.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from processors.vlm import markup
from processors.vlm.markup import Converted
from processors.vlm.prompts import READ

USUAL_PIXELS = 1_280_000  # A4 at 115 dpi
PIXELS_OF_REGIONS = 6_000_000  # A4 at 250 dpi, of which a model sees one region at a time
PIXELS_OF_MONEY = 2_300_000  # A4 at 154 dpi: at 115 dpi, digits of 7 points are 8 pixels high


class RegionKind(StrEnum):
    TEXT = "text"
    TABLE = "table"
    FORMULA = "formula"
    CHART = "chart"
    PICTURE = "picture"  # without text


@dataclass(frozen=True, kw_only=True)
class Family:
    """Models with the same properties."""

    types: tuple[str, ...] = ()  # `model_type`
    names: tuple[str, ...] = ()  # parts of a name, in lower case, that take precedence over the type
    max_pixels: int = USUAL_PIXELS  # of a page, unless configured
    max_pixels_of_money: int = PIXELS_OF_MONEY  # of a statement, receipt or invoice on a GPU
    read_prompt: str = READ  # of the task `read`; "": the model expects no text beside the page
    only_reads: bool = False  # other tasks are answered with the text of the page
    # of the regions that a layout model finds, for models that were trained on regions; {}: complete pages
    region_prompts: Mapping[RegionKind, str] = field(default_factory=dict)
    template: Mapping[str, object] = field(default_factory=dict)  # arguments of the chat template
    keeps_tags: bool = False  # its markup consists of special tokens
    convert: Callable[[str], Converted] = markup.unchanged  # an answer to `read`, to Markdown


GENERAL = Family()
_OLMOCR = (
    "Attached is one page of a document that you must process. Just return the plain text representation of this "
    "document as if you were reading it naturally. Convert equations to LateX and tables to HTML.\n"
    "If there are any figures or charts, label them with the following markdown syntax ![Alt text describing the "
    "contents of the figure](page_startx_starty_width_height.png)\n"
    "Return your output as markdown, with a front matter section on top specifying values for the primary_language, "
    "is_rotation_valid, rotation_correction, is_table, and is_diagram parameters."
)
_DOCLING = Family(  # tiles of 512 pixels, 2,048 on the long side
    max_pixels=3_000_000,
    max_pixels_of_money=3_000_000,
    read_prompt="Convert this page to docling.",
    only_reads=True,
    keeps_tags=True,
    convert=markup.doctags_to_markdown,
)

FAMILIES = (
    Family(  # the same type as Qwen2.5-VL; 1,288 pixels on the long side
        names=("olmocr",), read_prompt=_OLMOCR, only_reads=True, convert=markup.front_matter_to_notes
    ),
    Family(types=("qwen2_5_vl", "qwen2_vl", "qwen3_vl", "qwen3_vl_moe"), convert=markup.tables_to_markdown),
    Family(
        types=("qwen3_5", "qwen3_5_moe"),
        names=("qwen3.5", "qwen3_5"),
        template={"enable_thinking": False},
        convert=markup.without_thoughts,
    ),
    Family(  # 1,540 pixels on the long side; trained on pages without any text
        types=("lighton_ocr",),
        names=("lightonocr",),
        max_pixels=1_690_000,
        read_prompt="",
        convert=markup.tables_to_markdown,
        only_reads=True,
    ),
    Family(
        types=("glm_ocr",),
        names=("glm-ocr",),
        max_pixels=PIXELS_OF_MONEY,
        read_prompt="Text Recognition:",
        region_prompts={
            RegionKind.TEXT: "Text Recognition:",
            RegionKind.TABLE: "Table Recognition:",
            RegionKind.CHART: "Text Recognition:",
            RegionKind.FORMULA: "Formula Recognition:",
        },
        convert=markup.tables_to_markdown,
        only_reads=True,
    ),
    Family(
        types=("paddleocr_vl",),
        names=("paddleocr-vl",),
        read_prompt="OCR:",
        region_prompts={
            RegionKind.TEXT: "OCR:",
            RegionKind.TABLE: "Table Recognition:",
            RegionKind.CHART: "Chart Recognition:",
            RegionKind.FORMULA: "Formula Recognition:",
        },
        convert=markup.doctags_to_markdown,
        only_reads=True,
    ),
    replace(_DOCLING, types=("granite_docling",), names=("granite-docling",)),
    replace(_DOCLING, names=("smoldocling",)),  # the same type as SmolVLM
    Family(  # up to six tiles of 768 pixels
        types=("deepseek_ocr2",),
        names=("deepseek-ocr",),
        max_pixels=3_500_000,
        max_pixels_of_money=3_500_000,
        read_prompt="Convert the document to markdown.",
        convert=markup.grounding_to_markdown,
        only_reads=True,
    ),
    Family(types=("gemma3", "gemma4"), names=("gemma-3", "gemma-4"), template={"enable_thinking": False}),
    Family(  # up to twelve tiles of 448 pixels
        types=("internvl", "qianfan_ocr"), names=("internvl", "qianfan-ocr"), max_pixels=2_400_000,
        max_pixels_of_money=2_400_000,
    ),
    Family(  # tiles of 512 pixels, 2,048 on the long side
        types=("smolvlm", "idefics3"), names=("smolvlm",), max_pixels=3_000_000, max_pixels_of_money=3_000_000
    ),
)  # fmt: skip


def find(model_type: str = "", name: str = "") -> Family:
    """The family of a model by its type, or by its name; `GENERAL` if neither is known."""
    low = name.lower().replace("--", "/").rpartition("/")[2]
    by_name = next((each for each in FAMILIES if any(part in low for part in each.names)), None)
    by_type = next((each for each in FAMILIES if model_type in each.types), None)
    if by_name is not None and (by_type is None or not by_name.types):
        return by_name
    return by_type or by_name or GENERAL


def of_folder(folder: Path, name: str = "") -> Family:
    """The family of the model in `folder`; `name`: as configured, or "" for that of the folder."""
    try:
        model_type = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type", "")
    except (OSError, ValueError, AttributeError):
        model_type = ""
    return find(str(model_type), name or folder.name)
