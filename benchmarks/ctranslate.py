"""Convert an openai-whisper model to CTranslate2's format, with the same weights, to compare speed.

Only for models in memory, such as those with random weights; `processors.whisper.weights.conversion` converts published
weights in the other direction. The layout is that of ctranslate2/converters/transformers.py, `WhisperLoader`.
"""

import tempfile
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import torch
from ctranslate2.converters.utils import fuse_linear
from ctranslate2.specs.common_spec import LinearSpec
from ctranslate2.specs.whisper_spec import WhisperSpec
from whisper.model import Whisper
from whisper.tokenizer import get_tokenizer


def load(model: Whisper, device: torch.device, compute_type: str) -> ctranslate2.models.Whisper:
    dims = model.dims
    spec = WhisperSpec(dims.n_audio_layer, dims.n_audio_head, dims.n_text_layer, dims.n_text_head)
    _fill(spec, model)
    words = [f"<{number}>" for number in range(dims.n_vocab)]  # the decoder uses ids only, except for special tokens
    tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
    for word, number in tokenizer.special_tokens.items():
        words[number] = word
    spec.register_vocabulary(words)
    spec.config.suppress_ids, spec.config.suppress_ids_begin, spec.config.lang_ids = [], [], []
    spec.validate()
    spec.optimize(quantization="float16" if compute_type == "float16" else None)
    with tempfile.TemporaryDirectory() as folder:
        spec.save(str(Path(folder)))
        return ctranslate2.models.Whisper(
            folder,
            device=device.type,
            device_index=device.index or 0,
            compute_type=compute_type,
            intra_threads=torch.get_num_threads(),
        )


def _fill(spec: WhisperSpec, model: Whisper) -> None:
    encoder, decoder = model.encoder, model.decoder
    for kept, own in ((spec.encoder.conv1, encoder.conv1), (spec.encoder.conv2, encoder.conv2)):
        kept.weight, kept.bias = _array(own.weight), _array(own.bias)
    spec.encoder.position_encodings.encodings = _array(encoder.positional_embedding)
    spec.decoder.position_encodings.encodings = _array(decoder.positional_embedding)
    spec.decoder.embeddings.weight = spec.decoder.projection.weight = _array(decoder.token_embedding.weight)
    _norm(spec.encoder.layer_norm, encoder.ln_post)
    _norm(spec.decoder.layer_norm, decoder.ln)
    for kept, own in zip([*spec.encoder.layer, *spec.decoder.layer], [*encoder.blocks, *decoder.blocks], strict=True):
        query, key, value = own.attn.query, own.attn.key, own.attn.value
        _attention(kept.self_attention, own.attn.out, [query, key, value])
        _norm(kept.self_attention.layer_norm, own.attn_ln)
        if own.cross_attn:
            cross = own.cross_attn
            _attention(kept.attention, cross.out, [cross.query], [cross.key, cross.value])
            _norm(kept.attention.layer_norm, own.cross_attn_ln)
        _linear(kept.ffn.linear_0, own.mlp[0])
        _linear(kept.ffn.linear_1, own.mlp[2])
        _norm(kept.ffn.layer_norm, own.mlp_ln)


def _attention(kept: Any, out: torch.nn.Linear, *fused: list[torch.nn.Linear]) -> None:
    for place, layers in zip(kept.linear[:-1], fused, strict=True):
        specs = [LinearSpec() for _ in layers]
        for spec, layer in zip(specs, layers, strict=True):
            _linear(spec, layer)
        fuse_linear(place, specs)
    _linear(kept.linear[-1], out)


def _linear(kept: Any, own: torch.nn.Linear) -> None:
    kept.weight = _array(own.weight)
    if own.bias is not None:
        kept.bias = _array(own.bias)


def _norm(kept: Any, own: torch.nn.LayerNorm) -> None:
    kept.gamma, kept.beta = _array(own.weight), _array(own.bias)


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
