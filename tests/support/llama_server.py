"""llama.cpp's own server with the model tiny-vlm, converted to GGUF. Runs in an environment with xllamacpp and gguf:

    python tests/support/llama_server.py PORT

INBOXD_TEST_LLAMA names the interpreter of that environment for the tests.
"""

import json
import os
import struct
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import xllamacpp

TINY = Path(__file__).parents[1] / "data" / "tiny-vlm"
_WINDOW_PATTERN = 3  # the last of three vision layers attends to all of a page
_VISION_EPSILON = 1e-6  # as in transformers' Qwen2_5_VLVisionBlock
_LAYER = {  # names of transformers and of GGUF
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
_BLOCK = {
    "attn.proj": "attn_out", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "norm1": "ln1", "norm2": "ln2",
}  # fmt: skip
_VISION = {"visual.merger.ln_q": "v.post_ln", "visual.merger.mlp.0": "mm.0", "visual.merger.mlp.2": "mm.2"}


def tensors() -> dict[str, np.ndarray]:
    """The weights by their names in transformers, float32."""
    content = (TINY / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, found = json.loads(content[8 : 8 + length]), {}
    for name, about in header.items():
        if name != "__metadata__":
            start, end = (8 + length + offset for offset in about["data_offsets"])
            found[name] = np.frombuffer(content[start:end], np.float16).reshape(about["shape"]).astype(np.float32)
    return found


def write_language_model(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    config = json.loads((TINY / "config.json").read_text(encoding="utf-8"))["text_config"]
    writer = gguf.GGUFWriter(path, "qwen2vl")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_rope_dimension_sections([*config["rope_parameters"]["mrope_section"], 0])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    _add_tokenizer(writer)
    writer.add_tensor("token_embd.weight", weights["model.embed_tokens.weight"])
    writer.add_tensor("output_norm.weight", weights["model.norm.weight"])
    for name, values in weights.items():
        if name.startswith("model.layers."):
            number, _, rest = name.removeprefix("model.layers.").partition(".")
            part, _, kind = rest.rpartition(".")
            writer.add_tensor(f"blk.{number}.{_LAYER[part]}.{kind}", values)
    _close(writer)


def _add_tokenizer(writer: gguf.GGUFWriter) -> None:
    tokenizer = json.loads((TINY / "tokenizer.json").read_text(encoding="utf-8"))
    special = {token["id"] for token in tokenizer["added_tokens"]}
    vocabulary = sorted(tokenizer["model"]["vocab"].items(), key=lambda item: item[1])
    merges = tokenizer["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([token for token, _ in vocabulary])
    kinds = (gguf.TokenType.CONTROL if number in special else gguf.TokenType.NORMAL for _, number in vocabulary)
    writer.add_token_types(list(kinds))
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template((TINY / "chat_template.jinja").read_text(encoding="utf-8"))


def write_vision_model(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    config = json.loads((TINY / "config.json").read_text(encoding="utf-8"))["vision_config"]
    images = json.loads((TINY / "preprocessor_config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "qwen2.5vl_merger")
    writer.add_bool("clip.use_silu", True)
    numbers = {
        "image_size": 560, "patch_size": config["patch_size"], "embedding_length": config["hidden_size"],
        "feed_forward_length": config["intermediate_size"], "block_count": config["depth"],
        "projection_dim": config["out_hidden_size"], "attention.head_count": config["num_heads"],
        "n_wa_pattern": _WINDOW_PATTERN,
    }  # fmt: skip
    for name, value in numbers.items():
        writer.add_uint32(f"clip.vision.{name}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", _VISION_EPSILON)
    writer.add_array("clip.vision.image_mean", images["image_mean"])
    writer.add_array("clip.vision.image_std", images["image_std"])
    patches = weights["visual.patch_embed.proj.weight"]  # (width, colors, 2, 14, 14): one of two equal frames each
    writer.add_tensor("v.patch_embd.weight", np.ascontiguousarray(patches[:, :, 0]))
    writer.add_tensor("v.patch_embd.weight.1", np.ascontiguousarray(patches[:, :, 1]))
    for name, values in weights.items():
        part, _, kind = name.rpartition(".")
        if part in _VISION:
            writer.add_tensor(f"{_VISION[part]}.{kind}", values)
        elif part.startswith("visual.blocks."):
            number, _, part = part.removeprefix("visual.blocks.").partition(".")
            if part == "attn.qkv":
                for letter, piece in zip("qkv", np.split(values, 3), strict=True):
                    writer.add_tensor(f"v.blk.{number}.attn_{letter}.{kind}", np.ascontiguousarray(piece))
            else:
                writer.add_tensor(f"v.blk.{number}.{_BLOCK[part]}.{kind}", values)
    _close(writer)


def _close(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main(port: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        language, vision = Path(folder) / "tiny-vlm.gguf", Path(folder) / "mmproj.gguf"
        weights = tensors()
        write_language_model(language, weights)
        write_vision_model(vision, weights)
        parameters = xllamacpp.CommonParams()
        parameters.model.path, parameters.mmproj.path = str(language), str(vision)
        parameters.port, parameters.n_ctx, parameters.n_parallel = port, 8192, 2
        parameters.cpuparams.n_threads = 1
        parameters.warmup, parameters.use_jinja = False, True
        if key := os.environ.get("LLAMA_API_KEY"):
            parameters.api_keys = [key]
        server = xllamacpp.Server(parameters)
        print(f"listening at {server.listening_address}", flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main(int(sys.argv[1]))
