"""Speech models besides Whisper that transformers runs without custom code: what each kind can do.

A family is identified by the `model_type` in a model's config.json. Read by the daemon: pure data, and one small file.
Sources: the models' cards, and transformers 5.23.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from processors.whisper.options import TranscribeOptions

EUROPEAN = frozenset(
    ("bg", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "hr", "hu", "it", "lt", "lv", "mt", "nl", "pl", "pt")
    + ("ro", "ru", "sk", "sl", "sv", "uk")
)
_ENGLISH = frozenset(("en",))
_LANGUAGE_AT_END = re.compile(r"-(ar|es|ja|ko|uk|vi|zh)$")  # as in moonshine-tiny-ja


class Head(StrEnum):
    """How a model turns sounds into tokens."""

    CTC = "ctc"  # one token, or none, for each 0.08 s
    TRANSDUCER = "transducer"  # tokens in succession, each at a frame
    ENCODER_DECODER = "encoder-decoder"  # as Whisper, but without timestamps


@dataclass(frozen=True, kw_only=True)
class SpeechFamily:
    """Models of one architecture."""

    model_type: str
    head: Head
    needs_language: bool = False  # the model cannot detect the language: the recipe must set it
    translates: bool = False  # into English
    decodes_alone: bool = False  # the padding of a shorter window in a batch changes its text

    @property
    def times_words(self) -> bool:
        return self.head is not Head.ENCODER_DECODER

    def languages(self, name: str) -> frozenset[str]:
        """The languages that the model named `name` supports."""
        if self.needs_language or (self.model_type == "parakeet_tdt" and name.endswith("-v3")):
            return EUROPEAN
        own = _LANGUAGE_AT_END.search(name)
        return frozenset((own[1],)) if own else _ENGLISH


FAMILIES = {
    family.model_type: family
    for family in (
        SpeechFamily(model_type="parakeet_ctc", head=Head.CTC),
        SpeechFamily(model_type="parakeet_tdt", head=Head.TRANSDUCER),
        SpeechFamily(model_type="parakeet_rnnt", head=Head.TRANSDUCER),
        SpeechFamily(model_type="moonshine", head=Head.ENCODER_DECODER, decodes_alone=True),
        SpeechFamily(model_type="canary", head=Head.ENCODER_DECODER, needs_language=True, translates=True),
    )
}


def family_of(folder: Path) -> SpeechFamily | None:
    """The family of the model in `folder`; None: inboxd does not support this model."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return FAMILIES.get(str(config.get("model_type"))) if isinstance(config, dict) else None


def why_not_a_model(folder: Path) -> str:
    """The message for a folder without a family."""
    return (
        f"The model in {folder} is none of the speech models that inboxd knows ({', '.join(sorted(FAMILIES))}): choose "
        "another `model` in [processors.whisper], see docs/speech.md."
    )


def why_unable(family: SpeechFamily, name: str, recipe: TranscribeOptions) -> str:
    """Return why the model cannot do what a recipe asks, and what to change; "": it can."""
    changes = list(_changes(family, name, recipe))
    if not changes:
        return ""
    return (
        f"The model {name} cannot do what this recipe or the file's own options ask: {'; '.join(changes)}. Or set "
        'engine = "openai-whisper" and a model of Whisper in [processors.whisper] of config.toml.'
    )


def _changes(family: SpeechFamily, name: str, recipe: TranscribeOptions) -> Iterator[str]:
    known = family.languages(name)
    if recipe.task != "transcribe" and not family.translates:
        yield 'set task = "transcribe"'
    if recipe.only_language is not None and recipe.only_language not in known:
        yield f"it does not know the language {recipe.only_language}, only {', '.join(sorted(known))}"
    if family.needs_language and recipe.only_language is None:
        yield "set `language`, which it cannot detect"
    if recipe.multilingual or (len(recipe.languages) > 1 and not family.needs_language):
        yield "leave out `multilingual` and `languages`, as it cannot report a language"
    if (recipe.word_timestamps or recipe.finds_speakers) and not family.times_words:
        yield "leave out `word_timestamps`, `speakers` and `voices`, as it cannot time words"
    if recipe.fixed_prompt is not None:
        yield "leave out `vocabulary` and `initial_prompt`, as it takes no prompt"
