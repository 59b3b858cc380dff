"""A model's language part in 8 or 4 bits a weight, by bitsandbytes: a half or a quarter of the memory, a little worse.

What sees the page, and what makes scores of the result, stays as it is: small print is lost there first. 4 bits are NF4
(Dettmers et al., QLoRA, 2023), 8 bits LLM.int8() (Dettmers et al., 2022).
"""

import importlib.util
import logging

import torch
from transformers import BitsAndBytesConfig, PreTrainedModel

from processors.contract import Unavailable

SHARE = {"none": 1.0, "8bit": 0.65, "4bit": 0.45}  # of a 16-bit model's memory, what is left alone included
_LEFT_ALONE = [r".*\b(visual|vision\w*|\w*projector|connector|aligner)", "lm_head"]  # as transformers' models name it
_KINDS = {"8bit": "Linear8bitLt", "4bit": "Linear4bit"}


def settings(wanted: str, dtype: torch.dtype) -> BitsAndBytesConfig | None:
    """How transformers is to load the weights; None: as they are.

    Raises:
        Unavailable: bitsandbytes is not installed.
    """
    if wanted == "none":
        return None
    for name in ("bitsandbytes", "accelerate"):
        if importlib.util.find_spec(name) is None:
            raise Unavailable(
                f'quantization = "{wanted}" needs {name}, which is not installed: run pip install "inboxd[quantized]" '
                'where inboxd is installed, or set quantization = "none" in [processors.vlm].'
            )
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # else it tells of each product that it casts
    if wanted == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=_LEFT_ALONE)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=_LEFT_ALONE,
    )


def verify(model: PreTrainedModel, wanted: str) -> None:
    """See that the weights are what was asked for: where a model's parts have other names, nothing may be quantized.

    Raises:
        Unavailable: they are not.
    """
    if wanted == "none":
        return
    kinds = [type(module).__name__ for module in model.modules() if isinstance(module, torch.nn.Linear)]
    if _KINDS[wanted] not in kinds:
        raise Unavailable(
            f'quantization = "{wanted}" did nothing to this model: none of its {len(kinds)} layers is quantized. '
            'Set quantization = "none" in [processors.vlm], or choose another model.'
        )
