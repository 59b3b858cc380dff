"""Loading of a model: all weights on one device, quantized if configured, or an error."""

import importlib.util
import logging
from itertools import chain
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from transformers import BitsAndBytesConfig, PreTrainedModel
from transformers.models.auto.configuration_auto import AutoConfig
from transformers.models.auto.modeling_auto import AutoModelForImageTextToText
from transformers.utils import logging as transformers_logging
from transformers.utils.import_utils import is_flash_attn_2_available

from processors import torch_device
from processors.contract import Unavailable
from processors.device_errors import is_out_of_memory
from processors.torch_device import free_bytes
from processors.vlm import VlmOptions
from processors.vlm.engine import weights, window_attention

_GIGABYTE = 1e9
_FLASH_CAPABILITY = (8, 0)  # the first compute capability on which FlashAttention 2 runs
_SHARE_FOR_WEIGHTS = 0.7  # of the free memory; the rest is for pages
_LOADING_ERRORS = (OSError, ValueError, KeyError, RuntimeError, ImportError, MemoryError, SafetensorError)
_NOT_QUANTIZED = [
    r".*\b(visual|vision\w*|\w*projector|connector|aligner)",
    "lm_head",
]  # as transformers' models name it
_QUANTIZED_LAYERS = {"8bit": "Linear8bitLt", "4bit": "Linear4bit"}

log = logging.getLogger(__name__)


def choose_device(wanted: str) -> torch.device:
    """The device named `wanted`; "auto" is CUDA if available.

    Raises:
        Unavailable: there is no such CUDA device.
    """
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cpu" or (wanted == "auto" and not found):
        return torch.device("cpu")
    device = torch.device("cuda" if wanted == "auto" else wanted)
    index = device.index or 0
    if index >= found:
        raise Unavailable(
            f"There is no {wanted} here: torch {torch.__version__} finds {found} CUDA devices. "
            'Check nvidia-smi and the driver, or set device = "auto" in [processors.vlm].'
        )
    return torch.device("cuda", index)


def choose_dtype(wanted: str, device: torch.device, weights_bytes: int = 0) -> torch.dtype:
    """The number format named `wanted`. "auto" is float32 on the CPU, and bfloat16 on CUDA where supported; on older
    GPUs float32, or float16 if float32 does not fit. weights_bytes: of the weights in 16 bits.

    float16 ends at 65,504: with Qwen2.5-VL-3B, some images overflow it, and all answers about them are "!!!"
    (vllm-project/vllm#13817, huggingface/transformers#33294).
    """
    if wanted != "auto":
        named: torch.dtype = getattr(torch, wanted)
        return named
    if device.type == "cpu":
        return torch.float32
    with torch.cuda.device(device):
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.bfloat16
    if 2 * weights_bytes <= (free_bytes(device) or 0) * _SHARE_FOR_WEIGHTS:
        return torch.float32
    log.warning(
        "%s does not support bfloat16, and the weights do not fit in float32: in float16, answers about some images "
        "may be unusable, which the review reports; choose a smaller model or a newer GPU",
        torch_device.device_name(device),
    )
    return torch.float16


def choose_attention(wanted: str, device: torch.device, dtype: torch.dtype) -> str:
    """The attention implementation; "auto" is FlashAttention where available, otherwise torch's own.

    Raises:
        Unavailable: FlashAttention is requested but not available.
    """
    if wanted not in ("auto", "flash_attention_2"):
        return wanted
    lacking = _why_no_flash_attention(device, dtype)
    if wanted == "auto":
        return "sdpa" if lacking else "flash_attention_2"
    if lacking:
        raise Unavailable(f'FlashAttention {lacking}: fix that, or set attention = "auto" in [processors.vlm].')
    return wanted


def _why_no_flash_attention(device: torch.device, dtype: torch.dtype) -> str | None:
    if device.type != "cuda":
        return f"runs on CUDA, not on {device}"
    if dtype not in (torch.float16, torch.bfloat16):
        return f"needs float16 or bfloat16, not {str(dtype).removeprefix('torch.')}"
    if torch.cuda.get_device_capability(device) < _FLASH_CAPABILITY:
        return f"needs an Ampere GPU or a newer one, not {torch.cuda.get_device_name(device)}"
    return None if is_flash_attn_2_available() else "is not installed (pip install flash-attn)"


def load_model(folder: Path, options: VlmOptions, models: Path) -> PreTrainedModel:
    """The model in `folder`, ready to answer.

    Raises:
        Unavailable: no such device, too little memory, or the weights are damaged; the message says how to fix it.
    """
    device = choose_device(options.device)
    share = weights.SHARE_LOADED[options.quantization]
    dtype = choose_dtype(options.dtype, device, int(weights.size_bytes(folder) * share))
    attention = choose_attention(options.attention, device, dtype)
    quantized = quantization_config(options.quantization, dtype)
    transformers_logging.disable_progress_bar()
    try:
        _refuse_too_little_memory(folder, dtype, device, share)
        model, report = _load(folder, dtype, _attentions(options, attention), placement(device, quantized))
    except _LOADING_ERRORS as error:
        raise Unavailable(_why_not_loaded(error, folder, options, models, device)) from error
    if unset := sorted({*report["missing_keys"], *map(str, report["mismatched_keys"])}):
        # transformers fills missing weights with random numbers and only warns
        fix = weights.how_to_fix(options.model, folder, models)
        raise Unavailable(f"The model in {folder} lacks weights ({unset[0]} and {len(unset) - 1} more). {fix}")
    refuse_offload(model, device)
    if device.type == "cuda" and model.config._attn_implementation == "sdpa" and options.attention == "auto":
        window_attention.use_in(model)
    check_quantization(model, options.quantization)
    model.eval()
    return model


def placement(device: torch.device, quantized: BitsAndBytesConfig | None) -> dict[str, object]:
    """The arguments of `from_pretrained` that load the weights onto `device`: each tensor directly, so that the
    complete model never occupies the memory of the host beside it."""
    if quantized is not None:
        return {"quantization_config": quantized, "device_map": {"": device}}
    return {} if device.type == "cpu" else {"device_map": {"": device}}


def _attentions(options: VlmOptions, chosen: str) -> list[str]:
    """The implementations to try, in order: not all models support the fastest ones."""
    if options.attention != "auto":
        return [chosen]
    return [*dict.fromkeys((chosen, "sdpa", "eager"))]


def _load(
    folder: Path, dtype: torch.dtype, attentions: list[str], where: dict[str, object]
) -> tuple[PreTrainedModel, dict[str, list[str]]]:
    """The model, with the first implementation of attention that it supports; and what `from_pretrained` reports."""
    for attention in attentions:
        try:
            loaded: object = AutoModelForImageTextToText.from_pretrained(
                folder,
                dtype=dtype,
                attn_implementation=attention,
                local_files_only=True,
                output_loading_info=True,
                **where,
            )
            return cast("tuple[PreTrainedModel, dict[str, list[str]]]", loaded)  # with `output_loading_info`
        except (ValueError, ImportError) as error:
            if attention == attentions[-1] or not _is_about_attention(error):
                raise
            log.info("the model does not support attention %s: %s", attention, _short(error))
    raise AssertionError("there is at least one implementation")


def _is_about_attention(error: Exception) -> bool:
    """True if a model refuses an implementation of attention, for which there is no type of error."""
    return any(word in str(error).lower() for word in ("attention", "attn"))


def _why_not_loaded(error: Exception, folder: Path, options: VlmOptions, models: Path, device: torch.device) -> str:
    """The reason, and what the operator should do: only damaged weights are fetched again."""
    if is_out_of_memory(error):
        return _too_little(folder, weights.size_bytes(folder), device)
    if isinstance(error, RuntimeError) and str(error).startswith(("CUDA", "cuDNN")):
        return (
            f"The GPU cannot run torch {torch.__version__} ({_short(error)}). Check nvidia-smi and the driver, install "
            'the build of torch for this GPU, or set device = "cpu" in [processors.vlm].'
        )
    if isinstance(error, ValueError | ImportError) and _is_about_attention(error):
        return (
            f'The model in {folder} does not support attention = "{options.attention}" ({_short(error)}). '
            'Set attention = "auto" in [processors.vlm].'
        )
    fix = weights.how_to_fix(options.model, folder, models)
    return f"The model in {folder} cannot be loaded. {fix} ({_short(error)})"


def refuse_offload(model: PreTrainedModel, device: torch.device) -> None:
    """Check that all of `model` is on `device`; with a part elsewhere it would be a hundred times slower.

    Raises:
        Unavailable: a part is elsewhere.
    """
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        if tensor.device != device:
            raise Unavailable(
                f"A part of the model ({name}) is on {tensor.device}, not on {device}: it would be far too slow. "
                "Free memory of the device, or choose a smaller model."
            )


def _refuse_too_little_memory(folder: Path, dtype: torch.dtype, device: torch.device, share: float) -> None:
    """Check that the weights fit before they are read: on the CPU the kernel would kill the process.

    Raises:
        Unavailable: they do not fit.
    """
    stored = getattr(AutoConfig.from_pretrained(folder, local_files_only=True), "dtype", None) or dtype
    itemsize = dtype.itemsize if share == 1.0 else 2  # the share is that of 16 bits
    needed = int(weights.size_bytes(folder) * itemsize / stored.itemsize * share)
    free = free_bytes(device)
    if free is not None and needed > free:
        raise Unavailable(_too_little(folder, needed, device))


def _too_little(folder: Path, needed: int, device: torch.device) -> str:
    free = free_bytes(device) or 0
    return (
        f"The model in {folder} needs {needed / _GIGABYTE:.1f} GB, and {device} has {free / _GIGABYTE:.1f} GB free. "
        "Stop other programs that use it, choose a smaller model, or another `device` or `dtype` in [processors.vlm]."
    )


def _short(error: Exception) -> str:
    return str(error).strip()[:200] or "see the log"


# ---------------------------------------------------------------------------------------------- quantization


def quantization_config(wanted: str, dtype: torch.dtype) -> BitsAndBytesConfig | None:
    """Return the quantization that transformers loads the weights with; None: unchanged.

    bitsandbytes quantizes the language part to 8 bits (LLM.int8(), Dettmers et al., 2022) or 4 (NF4: QLoRA, Dettmers et
    al., 2023). The vision part and the output layer remain unchanged: small print would suffer first.

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
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # otherwise it logs each product that it casts
    if wanted == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=_NOT_QUANTIZED)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=_NOT_QUANTIZED,
    )


def check_quantization(model: PreTrainedModel, wanted: str) -> None:
    """Check that layers were quantized: in a model whose parts have other names, none may be.

    Raises:
        Unavailable: none was.
    """
    if wanted == "none":
        return
    kinds = [type(module).__name__ for module in model.modules() if isinstance(module, torch.nn.Linear)]
    if _QUANTIZED_LAYERS[wanted] not in kinds:
        raise Unavailable(
            f'quantization = "{wanted}" did nothing to this model: none of its {len(kinds)} layers is quantized. '
            'Set quantization = "none" in [processors.vlm], or choose another model.'
        )
