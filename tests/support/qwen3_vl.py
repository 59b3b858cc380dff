"""Models with the architecture of Qwen3-VL-4B-Instruct, the default model: its layers, but fewer of them, and random
weights. The tokenizer is that of tiny-vlm."""

import json
import shutil
from pathlib import Path

from paths import DATA
from tiny_vlm import TINY

PUBLISHED = DATA / "qwen3-vl-4b"
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_NARROW_TEXT = {"hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 4, "num_key_value_heads": 2}
_NARROW_VISION = {"hidden_size": 64, "intermediate_size": 128, "num_heads": 4, "out_hidden_size": 128}


def cut_config(*, layers: int, narrow: bool) -> dict:
    """The published configuration with fewer layers and the vocabulary of tiny-vlm; `narrow` also makes each layer
    narrower."""
    config = json.loads((PUBLISHED / "config.json").read_text(encoding="utf-8"))
    tiny = json.loads((TINY / "config.json").read_text(encoding="utf-8"))
    special = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    config |= {name: tiny[name] for name in special}
    own = ("vocab_size", "eos_token_id", "bos_token_id", "pad_token_id")
    config["text_config"] |= {name: tiny["text_config"][name] for name in own} | {"num_hidden_layers": layers}
    config["vision_config"] |= {"depth": layers + 1, "deepstack_visual_indexes": list(range(layers))}
    if narrow:
        config["text_config"] |= _NARROW_TEXT
        config["vision_config"] |= _NARROW_VISION
    return config


def write_model(folder: Path, *, layers: int = 2, narrow: bool = True) -> Path:
    """Write such a model to `folder`, as `inboxd models fetch` would, with random weights in bfloat16."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.json"
    config.write_text(json.dumps(cut_config(layers=layers, narrow=narrow)), encoding="utf-8")
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder), dtype=torch.bfloat16)
    model.save_pretrained(folder)
    config.write_text(json.dumps(cut_config(layers=layers, narrow=narrow)), encoding="utf-8")
    shutil.copy(PUBLISHED / "preprocessor_config.json", folder)
    for name in _TOKENIZER_FILES:
        shutil.copy(TINY / name, folder)
    return folder
