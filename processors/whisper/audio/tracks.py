"""Chooses the sound track of a film: the one that players choose, not a commentary. Pure, except for FFmpeg's
objects."""

import re
from typing import TYPE_CHECKING

from processors.contract import BadInput
from processors.whisper.weights import catalog

if TYPE_CHECKING:
    import av

DEFAULT = "default"
_COMMENTARY = re.compile(
    r"comment|kommentar|coment[aá]rio|descri(ption|bed|ptive)|descripci[oó]n|deskription|karaoke|"
    r"isolated score|music (and effects|only)|\bM&E\b|\bDVS\b",
    re.IGNORECASE,
)
_UNKNOWN = {"", "und", "mis", "zxx", "mul"}  # ISO 639-2: no language


def choose(streams: "list[av.AudioStream]", track: int | str, language: str | None) -> int:
    """The number of the track, counted from 1.

    track: a number, a language, or `DEFAULT`. language: the code of the recipe's language, if it has one.

    Raises:
        BadInput: there is no such track.
    """
    if isinstance(track, int):
        if track > len(streams):
            raise BadInput(f"This file has no sound track {track}, only {len(streams)}: correct `track`.")
        return track
    numbers = range(1, len(streams) + 1)
    if track == DEFAULT:
        return min(numbers, key=lambda number: (*_rank(streams[number - 1], language), number))
    wanted = language_code(track)
    found = [number for number in numbers if language_of(streams[number - 1]) == wanted]
    if not found:
        known = ", ".join(label(stream) or "no language" for stream in streams)
        raise BadInput(f'No sound track of this file is in "{track}" (there are: {known}): correct `track`.')
    return min(found, key=lambda number: (*_rank(streams[number - 1], None), number))


def _rank(stream: "av.AudioStream", language: str | None) -> tuple[bool, bool, bool, bool]:
    """The sort key of a track; the lowest is the best."""
    from av.stream import Disposition

    aside = Disposition.comment | Disposition.visual_impaired | Disposition.descriptions | Disposition.karaoke
    aside |= Disposition.clean_effects | Disposition.lyrics | Disposition.non_diegetic
    is_aside = bool(stream.disposition & aside) or bool(_COMMENTARY.search(stream.metadata.get("title", "")))
    is_other = language is not None and language_of(stream) not in (language, None)
    is_default = bool(stream.disposition & Disposition.default)
    return stream.codec_context is None, is_aside, is_other, not is_default


def language_of(stream: "av.AudioStream") -> str | None:
    """The track's tagged language as Whisper's code, or else unchanged; None: it has no tag."""
    tag = (stream.metadata.get("language") or "").strip().lower()
    return None if tag in _UNKNOWN else language_code(tag)


def language_code(tag: str) -> str:
    """Whisper's code of an ISO 639 tag such as "eng", "ger", "deu" or "pt-BR", or of a language's name."""
    from babel.core import get_global

    tag = tag.strip().lower()
    primary = re.split(r"[-_]", tag)[0]
    alias = get_global("language_aliases").get(primary, primary)
    return catalog.language_code(tag) or catalog.language_code(alias) or catalog.language_code(primary) or primary


def label(stream: "av.AudioStream") -> str:
    """The track's language and title, such as "eng, Main"; "" if it has neither."""
    language = stream.metadata.get("language", "")
    return ", ".join(filter(None, ("" if language in _UNKNOWN else language, stream.metadata.get("title", ""))))
