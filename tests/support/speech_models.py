"""Speech models of each family that `processors.whisper.speech_families` lists: the configuration classes and
processors of the installed transformers, cut to few narrow layers, with random weights."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_WORDS = ["and", "so", "my", "fellow", "americans", "ask", "not", "what", "your", "country", "can", "do", "for", "you"]
_LETTERS = "▁abcdefghijklmnopqrstuvwxyz.,?"
_SPECIAL = ("<unk>", "<pad>", "<blank>", "<s>", "</s>")
_LANGUAGES = ("<|en|>", "<|de|>")
_ENCODER = {
    "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128,
    "subsampling_conv_channels": 16, "num_mel_bins": 80, "layerdrop": 0.0,
}  # fmt: skip
_CANARY_TEMPLATE = (
    "{% for message in messages %}{% for content in message.content %}{% if content.type == 'text' %}"
    "<s><|{{ content.source_language }}|><|{{ content.target_language }}|>{% endif %}{% endfor %}{% endfor %}"
)

Made = tuple[dict[str, Any], Any]  # the fields of the configuration, and the processor


def _tokenizer(kind: str, *more: str) -> tuple[Any, int]:
    """A tokenizer of words and letters, and the size of its vocabulary."""
    import tokenizers
    import transformers

    special = [*_SPECIAL, *more]
    pieces = [(each, 0.0) for each in special] + [(f"▁{word}", -2.0) for word in _WORDS]
    pieces += [(letter, -5.0) for letter in _LETTERS]
    made = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=0))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    made.decoder = tokenizers.decoders.Metaspace()
    found = getattr(transformers, kind)(
        tokenizer_object=made, unk_token="<unk>", pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )
    found.add_special_tokens({"additional_special_tokens": ["<blank>", *more]})
    return found, len(pieces)


def _parakeet(decoder: str, **more: Any) -> Made:
    import transformers

    tokenizer, size = _tokenizer("ParakeetTokenizer")
    sounds = transformers.ParakeetFeatureExtractor(feature_size=80)
    processor = transformers.ParakeetProcessor(sounds, tokenizer, decoder_type=decoder)
    return {"vocab_size": size, "encoder_config": _ENCODER, "pad_token_id": 1, **more}, processor


def parakeet_ctc() -> Made:
    return _parakeet("ctc")


def parakeet_tdt() -> Made:
    return _parakeet("tdt", blank_token_id=2, decoder_hidden_size=32, num_decoder_layers=1)


def parakeet_rnnt() -> Made:
    return _parakeet("rnnt", blank_token_id=2, decoder_hidden_size=32, num_decoder_layers=1, max_symbols_per_step=2)


def moonshine() -> Made:
    import transformers

    tokenizer, size = _tokenizer("PreTrainedTokenizerFast")
    sounds = transformers.Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True)
    layers = {
        f"{part}_num_{what}": number
        for part in ("encoder", "decoder")
        for what, number in (("hidden_layers", 2), ("attention_heads", 4))
    }
    ids = {"bos_token_id": 3, "eos_token_id": 4, "pad_token_id": 1, "decoder_start_token_id": 3}
    fields = {"vocab_size": size, "hidden_size": 64, "intermediate_size": 128, **layers, **ids}
    return fields, transformers.Wav2Vec2Processor(sounds, tokenizer)


def canary() -> Made:
    import transformers

    tokenizer, size = _tokenizer("PreTrainedTokenizerFast", *_LANGUAGES)
    sounds = transformers.ParakeetFeatureExtractor(feature_size=80)
    decoder = {
        "vocab_size": size, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 16,
    }  # fmt: skip
    ids = {"bos_token_id": 3, "eos_token_id": 4, "pad_token_id": 1}
    fields = {
        "vocab_size": size,
        "decoder_start_token_id": 3,
        "encoder_config": {"model_type": "parakeet_encoder", **_ENCODER},
        **ids,
    }
    processor = transformers.CanaryProcessor(sounds, tokenizer, chat_template=_CANARY_TEMPLATE)
    return fields | {"decoder_config": decoder | ids}, processor


FAMILIES: Mapping[str, Callable[[], Made]] = {
    build.__name__: build for build in (parakeet_ctc, parakeet_tdt, parakeet_rnnt, moonshine, canary)
}


def write_model(folder: Path, model_type: str) -> Path:
    """Write a model of that type to `folder`, as `inboxd models fetch` would."""
    import torch
    import transformers

    fields, processor = FAMILIES[model_type]()
    config = transformers.AutoConfig.for_model(model_type, **fields)
    head = {"parakeet_ctc": "CTC", "parakeet_tdt": "TDT", "parakeet_rnnt": "RNNT"}.get(model_type, "SpeechSeq2Seq")
    torch.manual_seed(0)
    model = getattr(transformers, f"AutoModelFor{head}").from_config(config, dtype=torch.float32)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1 and "norm" not in name:
            torch.nn.init.normal_(parameter, std=0.2)  # else all tokens are nearly as likely
    if model_type == "parakeet_tdt":
        with torch.no_grad():
            model.joint.head.bias[config.vocab_size] = -100.0  # a trained model does not stay at a frame for ever
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
