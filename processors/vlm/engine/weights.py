"""The search for a vision-language model's weights on this machine. Reads only files: imports and downloads nothing.

Search order: the given folder; models/vlm/ORG--NAME, where `inboxd models fetch` puts them; the cache of
huggingface_hub, which other programs of the same user may have filled.
"""

import json
import os
import re
from pathlib import Path

_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_MAX_NAMED = 3  # missing files
_BYTES_OF_A_NUMBER = 2
# Memory of the loaded weights, as a share of that in 16 bits. The vision part and the output layer are not quantized.
SHARE_LOADED = {"none": 1.0, "8bit": 0.65, "4bit": 0.45}


def find(model: str, models: Path) -> Path | None:
    """The folder with the complete weights of `model`, or None."""
    return next((folder for folder in _folders(model, models) if not _missing_files(folder)), None)


def why_missing(model: str, models: Path) -> str:
    """Return why `find` returned None and how to fix it, for the operator."""
    is_name = _HUB_NAME.fullmatch(model) is not None
    partial = next((folder for folder in _folders(model, models) if os.path.isdir(folder)), None)
    if partial:
        first = ", ".join(_missing_files(partial)[:_MAX_NAMED])
        what = f"The model in {partial} is incomplete: {first} missing."
    elif is_name:
        what = f"The model {model} is not installed."
    else:
        return f"There is no model folder {model}. Correct `model` in config.toml, or put the folder there."
    return f"{what} {how_to_fix(model, partial, models) if partial else _fetch(model)}"


def how_to_fix(model: str, folder: Path, models: Path) -> str:
    """Return how to repair a damaged folder, for the operator."""
    if not _HUB_NAME.fullmatch(model):
        return f"Copy the complete model to {folder} again."
    if folder == _stored(model, models):
        return f'Run "inboxd models remove {model}", then "inboxd models fetch {model}".'
    return _fetch(model)


def _fetch(model: str) -> str:
    return f'Run "inboxd models fetch {model}".'


def size_bytes(folder: Path) -> int:
    """The size of its weights on the disk."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def cache_bytes_per_token(folder: Path) -> int:
    """The size of one token in the key/value cache, in 16 bits; 0 if the configuration does not show it."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        text = config.get("text_config") or config
        heads = text.get("num_key_value_heads") or text["num_attention_heads"]
        width = text.get("head_dim") or text["hidden_size"] // text["num_attention_heads"]
        return int(2 * text["num_hidden_layers"] * heads * width * _BYTES_OF_A_NUMBER)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError):
        return 0


def _folders(model: str, models: Path) -> list[Path]:
    """The folders to search, in order."""
    cached = _snapshots(model) if _HUB_NAME.fullmatch(model) else []
    return [Path(model).expanduser(), _stored(model, models), *cached]


def _stored(model: str, models: Path) -> Path:
    return models / "vlm" / model.replace("/", "--")


def _snapshots(name: str) -> list[Path]:
    """The folder of `name` in huggingface_hub's cache: models--ORG--NAME/snapshots/REVISION, as named in refs/main."""
    cached = _hub_cache() / f"models--{name.replace('/', '--')}"
    try:
        revision = (cached / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return []
    return [cached / "snapshots" / revision] if re.fullmatch(r"[0-9a-f]{40}", revision) else []


def _hub_cache() -> Path:
    """The cache folder, as in huggingface_hub.constants."""
    if cache := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(cache).expanduser()
    user_cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{user_cache}/huggingface"
    return Path(home).expanduser() / "hub"


def _missing_files(folder: Path) -> list[str]:
    """Return the missing files of a model's folder: its config and all shards in its index; empty if it is complete."""
    missing = [] if _is_file(folder / "config.json") else ["config.json"]
    index = folder / "model.safetensors.index.json"
    if not _is_file(index):
        return missing if any(folder.glob("*.safetensors")) else [*missing, "*.safetensors"]
    try:
        shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [*missing, index.name]
    return [*missing, *(shard for shard in shards if not (folder / shard).is_file())]


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # unlike pathlib's, it does not raise if a parent folder may not be entered
