"""Models of each family that `processors.vlm.families` lists: the configuration classes and processors of the installed
transformers, cut to few narrow layers, with random weights. The vocabulary is that of tiny-vlm, with further tokens."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tiny_vlm import TINY

_VOCABULARY = 1024
_TOO_SMALL = 1e-3  # weights that would let no pixel through
_TEXT = {
    "vocab_size": _VOCABULARY, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 8192,
    "pad_token_id": 0, "bos_token_id": None, "eos_token_id": 2,
}  # fmt: skip
_VISION = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
_QWEN_VISION = {
    "depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 4, "out_hidden_size": 64,
}  # fmt: skip
_TEMPLATE = (
    "{{% for message in messages %}}<|im_start|>{{{{ message.role }}}}\n{{% for content in message.content %}}"
    "{{% if content.type == 'image' %}}{image}{{% else %}}{{{{ content.text }}}}{{% endif %}}{{% endfor %}}<|im_end|>\n"
    "{{% endfor %}}{{% if add_generation_prompt %}}<|im_start|>assistant\n{{% endif %}}"
)
_TILES = {"size": {"longest_edge": 256}, "max_image_size": {"longest_edge": 128}}

Made = tuple[dict[str, Any], Any]  # the fields of the configuration, and the processor


def _tokenizer(**special: str) -> Any:
    """The tokenizer of tiny-vlm with further special tokens, each with a name."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(TINY, extra_special_tokens=special)


def _ids(tokenizer: Any, **tokens: str) -> dict[str, int]:
    return {name: tokenizer.convert_tokens_to_ids(token) for name, token in tokens.items()}


def _qwen_ids(tokenizer: Any) -> dict[str, int]:
    return _ids(
        tokenizer, image_token_id="<|image_pad|>", video_token_id="<|video_pad|>",
        vision_start_token_id="<|vision_start|>", vision_end_token_id="<|vision_end|>",
    )  # fmt: skip


def _qwen(image_processor: dict[str, Any], processor: str) -> tuple[Any, Any]:
    import transformers

    from processors.vlm.engine.chat import _without_video

    tokenizer = _tokenizer(image_token="<|image_pad|>", video_token="<|video_pad|>")
    images = transformers.Qwen2VLImageProcessorPil(**image_processor)
    template = _TEMPLATE.format(image="<|vision_start|><|image_pad|><|vision_end|>")
    kind = _without_video(getattr(transformers, processor))
    return tokenizer, kind(images, tokenizer, chat_template=template)


def _mrope(sections: list[int]) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": sections}


def qwen2_5_vl() -> Made:
    tokenizer, processor = _qwen({"patch_size": 14}, "Qwen2_5_VLProcessor")
    text = {**_TEXT, "rope_parameters": _mrope([2, 3, 3])}
    vision = {**_QWEN_VISION, "fullatt_block_indexes": [1], "window_size": 112}
    return {"text_config": text, "vision_config": vision, **_qwen_ids(tokenizer)}, processor


def qwen3_vl() -> Made:
    tokenizer, processor = _qwen({"patch_size": 16}, "Qwen3VLProcessor")
    vision = {**_QWEN_VISION, "deepstack_visual_indexes": [0, 1]}
    text = {**_TEXT, "rope_parameters": _mrope([2, 3, 3])}
    return {"text_config": text, "vision_config": vision, **_qwen_ids(tokenizer)}, processor


def qwen3_5() -> Made:
    tokenizer, processor = _qwen({"patch_size": 16}, "Qwen3VLProcessor")
    linear = {
        "linear_key_head_dim": 16, "linear_value_head_dim": 16, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
    }  # fmt: skip
    text = {**_TEXT, **linear, "num_hidden_layers": 4, "rope_parameters": _mrope([2, 1, 1])}
    text["rope_parameters"]["partial_rotary_factor"] = 0.5
    return {"text_config": text, "vision_config": _QWEN_VISION, **_qwen_ids(tokenizer)}, processor


def lighton_ocr() -> Made:
    from transformers import LightOnOcrProcessor, PixtralImageProcessorPil

    tokenizer = _tokenizer(
        image_token="<|image_pad|>", image_break_token="<|vision_pad|>", image_end_token="<|vision_end|>"
    )
    images = PixtralImageProcessorPil(patch_size=14, size={"longest_edge": 280})
    processor = LightOnOcrProcessor(images, tokenizer, chat_template=_TEMPLATE.format(image="<|image_pad|>"))
    text = {"model_type": "qwen3", **_TEXT}
    vision = {"model_type": "pixtral", **_VISION, "head_dim": 16, "image_size": 1540, "patch_size": 14}
    return {"text_config": text, "vision_config": vision, **_ids(tokenizer, image_token_id="<|image_pad|>")}, processor


def glm_ocr() -> Made:
    import transformers

    from processors.vlm.engine.chat import _without_video

    names = {
        "image_token": "<|image|>",
        "video_token": "<|video|>",
        "start": "<|begin_of_image|>",
        "end": "<|end_of_image|>",
    }
    tokenizer = _tokenizer(**names)
    images = transformers.Glm46VImageProcessorPil(size={"shortest_edge": 12544, "longest_edge": 200_000})
    template = _TEMPLATE.format(image="<|begin_of_image|><|image|><|end_of_image|>")
    processor = _without_video(transformers.Glm46VProcessor)(images, tokenizer, chat_template=template)
    text = {**_TEXT, "rope_parameters": _mrope([2, 3, 3])}
    ids = _ids(
        tokenizer, image_token_id="<|image|>", video_token_id="<|video|>",
        image_start_token_id="<|begin_of_image|>", image_end_token_id="<|end_of_image|>",
        video_start_token_id="<|vision_start|>", video_end_token_id="<|vision_end|>",
    )  # fmt: skip
    return {"text_config": text, "vision_config": _QWEN_VISION, **ids}, processor


def paddleocr_vl() -> Made:
    from transformers import PaddleOCRVLImageProcessorPil, PaddleOCRVLProcessor

    tokenizer = _tokenizer(image_token="<|image_pad|>")
    template = _TEMPLATE.format(image="<|vision_start|><|image_pad|><|vision_end|>")
    processor = PaddleOCRVLProcessor(PaddleOCRVLImageProcessorPil(), tokenizer, chat_template=template)
    text = {**_TEXT, "rope_parameters": _mrope([2, 3, 3])}
    return {"text_config": text, "vision_config": _VISION, **_qwen_ids(tokenizer)}, processor


def granite_docling() -> Made:
    from transformers import GraniteDoclingImageProcessorPil, GraniteDoclingProcessor

    rows = {f"tile{row}{column}": f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)}
    names = {"image_token": "<image>", "around": "<fake_token_around_image>", "whole": "<global-img>", **rows}
    tokenizer = _tokenizer(**names)
    processor = GraniteDoclingProcessor(
        GraniteDoclingImageProcessorPil(max_patches=3),
        tokenizer,
        chat_template=_TEMPLATE.format(image="<image>"),
        image_seq_len=64,
    )
    vision = {**_VISION, "out_hidden_size": 64, "deepstack_visual_indexes": [0]}
    return {"text_config": _TEXT, "vision_config": vision, **_ids(tokenizer, image_token_id="<image>")}, processor


def deepseek_ocr2() -> Made:
    from transformers import DeepseekOcr2ImageProcessorPil, DeepseekOcr2Processor

    tokenizer = _tokenizer(image_token="<image>")
    processor = DeepseekOcr2Processor(
        DeepseekOcr2ImageProcessorPil(), tokenizer, chat_template=_TEMPLATE.format(image="<image>")
    )
    sam = {
        "hidden_size": 32, "output_channels": 32, "num_hidden_layers": 2, "num_attention_heads": 1,
        "global_attn_indexes": [1], "downsample_channels": [32, 64],
    }  # fmt: skip
    encoder = {name: value for name, value in _TEXT.items() if name != "head_dim"}
    experts = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "n_shared_experts": 1}
    text = {**_TEXT, **experts, "n_group": 1, "topk_group": 1, "mlp_layer_types": ["dense", "sparse"]}
    vision = {"sam_config": sam, "encoder_config": encoder}
    return {"text_config": text, "vision_config": vision, **_ids(tokenizer, image_token_id="<image>")}, processor


def gemma3() -> Made:
    from transformers import Gemma3ImageProcessorPil, Gemma3Processor

    names = {"image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"}
    tokenizer = _tokenizer(**names)
    processor = Gemma3Processor(
        Gemma3ImageProcessorPil(size={"height": 224, "width": 224}), tokenizer, image_seq_length=16,
        chat_template=_TEMPLATE.format(image="<start_of_image>"),
    )  # fmt: skip
    vision = {"model_type": "siglip_vision_model", **_VISION, "image_size": 224, "patch_size": 14}
    ids = _ids(
        tokenizer, boi_token_index="<start_of_image>", eoi_token_index="<end_of_image>",
        image_token_index="<image_soft_token>",
    )  # fmt: skip
    text = {**_TEXT, "sliding_window": 64, "layer_types": ["sliding_attention", "full_attention"]}
    return {"text_config": text, "vision_config": vision, "mm_tokens_per_image": 16, **ids}, processor


def internvl() -> Made:
    import transformers

    from processors.vlm.engine.chat import _without_video

    names = {
        "context_image_token": "<IMG_CONTEXT>", "start_image_token": "<img>", "end_image_token": "</img>",
        "video_token": "<video>",
    }  # fmt: skip
    tokenizer = _tokenizer(**names)
    images = transformers.GotOcr2ImageProcessorPil(size={"height": 112, "width": 112}, max_patches=6)
    processor = _without_video(transformers.InternVLProcessor)(
        images, tokenizer, image_seq_length=16, chat_template=_TEMPLATE.format(image="<IMG_CONTEXT>\n")
    )
    vision = {**_VISION, "image_size": [112, 112], "patch_size": [14, 14]}
    ids = _ids(tokenizer, image_token_id="<IMG_CONTEXT>")
    text = {"model_type": "qwen2", **_TEXT}
    return {"text_config": text, "vision_config": vision, "image_seq_length": 16, **ids}, processor


def gemma4() -> Made:
    import transformers

    from processors.vlm.engine.chat import _without_video

    names = {
        "image_token": "<|image|>", "boi_token": "<|image>", "eoi_token": "<image|>", "audio_token": "<|audio|>",
        "boa_token": "<|audio>", "eoa_token": "<audio|>",
    }  # fmt: skip
    tokenizer = _tokenizer(**names)
    images = transformers.Gemma4ImageProcessorPil(max_soft_tokens=70)
    processor = _without_video(transformers.Gemma4Processor)(
        transformers.Gemma4AudioFeatureExtractor(), images, tokenizer, chat_template=_TEMPLATE.format(image="<|image|>")
    )
    ids = _ids(
        tokenizer, image_token_id="<|image|>", boi_token_id="<|image>", eoi_token_id="<image|>",
        audio_token_id="<|audio|>", boa_token_id="<|audio>", eoa_token_index="<audio|>", video_token_id="<|video|>",
    )  # fmt: skip
    text = {
        **_TEXT, "sliding_window": 64, "layer_types": ["sliding_attention", "full_attention"],
        "vocab_size_per_layer_input": _VOCABULARY, "hidden_size_per_layer_input": 16,
    }  # fmt: skip
    vision = {**_VISION, "num_key_value_heads": 4, "head_dim": 16}
    return {"text_config": text, "vision_config": vision, "audio_config": None, **ids}, processor


def smolvlm() -> Made:
    import transformers

    from processors.vlm.engine.chat import _without_video

    rows = {f"tile{row}{column}": f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)}
    names = {"image_token": "<image>", "around": "<fake_token_around_image>", "whole": "<global-img>", **rows}
    tokenizer = _tokenizer(**names)
    images = transformers.SmolVLMImageProcessorPil(**_TILES)
    processor = _without_video(transformers.SmolVLMProcessor)(
        images, tokenizer, image_seq_len=16, chat_template=_TEMPLATE.format(image="<image>")
    )
    vision = {**_VISION, "image_size": 128, "patch_size": 16}
    ids = _ids(tokenizer, image_token_id="<image>")
    text = {"model_type": "llama", **_TEXT}
    return {"text_config": text, "vision_config": vision, "scale_factor": 2, **ids}, processor


FAMILIES: Mapping[str, Callable[[], Made]] = {
    build.__name__: build
    for build in (
        qwen2_5_vl, qwen3_vl, qwen3_5, lighton_ocr, glm_ocr, paddleocr_vl, granite_docling, deepseek_ocr2, gemma3,
        gemma4, internvl, smolvlm,
    )
}  # fmt: skip


def write_model(folder: Path, model_type: str) -> Path:
    """Write a model of that type to `folder`, as `inboxd models fetch` would."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    fields, processor = FAMILIES[model_type]()
    folder.mkdir(parents=True, exist_ok=True)
    processor.save_pretrained(folder)
    config = folder / "config.json"
    config.write_text(json.dumps({"model_type": model_type, **fields}), encoding="utf-8")
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder), dtype=torch.float32)
    for parameter in model.parameters():
        if parameter.abs().max() < _TOO_SMALL:  # Gemma's projector of pages starts with zeros, DeepSeek's SAM near them
            torch.nn.init.normal_(parameter, std=0.02)
    model.save_pretrained(folder)
    return folder
