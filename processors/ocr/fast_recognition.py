"""Recognition by a small model; the usual one reads words, lines or pages again that the small one is unsure of.

The small model takes a fifth of the time. Where it is wrong, one character of the word usually has a low probability,
or the word exists in no language ("1'école", "month.The"). It knows fewer characters than the usual model. Therefore,
it first reads a few lines; if it is unsure of much of their text, the usual model reads all lines of the page.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from processors.ocr.boxes import Quad, height_of, tightened
from processors.ocr.ink import Ink
from processors.ocr.recognition import Recognized, crop_of, is_turned, line_ratio, measure, read_padded, recognize
from processors.ocr.text_lines import Point

if TYPE_CHECKING:
    from rapidocr.ch_ppocr_rec import TextRecognizer

_SURE = 0.8  # probability of a character
_SURE_SPACE = 0.5  # of a space between two words
_SURE_AGAIN = 0.9  # confidence of the usual model in words that it reads without their line
_LEAST_PART, _AFTER_PART = 2.0, 0.5  # ratio of the padded words to their height, and padding on their right
_MOST_DOUBTFUL = 0.5  # share of the length of a line
_TRIAL_LINES, _MOST_DOUBTFUL_OF_TRIAL = 5, 0.15  # share of the characters of a line, on average
_LEAST_CONFIDENCE = 0.9  # of a line: text that the model was not trained on has less
_TORN, _LEAST_TORN = 0.12, 2  # glyphs of a line that became no character: their share, and their number
_CHANGED, _LEAST_CHANGED = 0.3, 1  # by how many characters a second reading may be longer or shorter: share, number
_ODD = re.compile(
    r"\d['’]?[^\W\d_]|[^\W\d_][.'’]?\d"  # a digit beside a letter
    r"|[^\W\d_][.,;:!?][A-Z][a-z]"  # no space between two sentences
    r"|^['’][^\W\d_]|['’]{2}|^j[bcdfgkmnpqrstvwxz]"  # a lost l, a doubled apostrophe, j for į
    r"|[ăđðğıőűşţþə]"  # in languages of which the model does not know all letters, or confuses some
)
_AMBIGUOUS = re.compile(r"^l[bcdfghjkmnpqrstvwxz]|^Il[a-z]{2}")  # l or I: in many fonts, only the line shows which
_APOSTROPHES = "'’"  # the model often confuses them
_ELISION = re.compile(r"^1(?=['’][^\W\d_]{2})")  # French, Italian: no number has letters after an apostrophe


@dataclass(frozen=True)
class _Character:
    text: str
    probability: float  # at its first step; RapidOCR calculates confidences from these
    best: float  # the highest probability of its steps
    left: float  # share of the width of the line
    right: float


@dataclass(frozen=True)
class _Word:
    text: str
    confidence: float
    is_doubtful: bool
    space: float  # probability of the space before it
    places: tuple[float, ...]  # of its characters: share of the width of the line
    left: float
    right: float


@dataclass
class FastRecognizer:
    """Both models, loaded."""

    small: "TextRecognizer"
    usual: "TextRecognizer"
    _tried: dict[tuple[Point, ...], list[_Word]] = field(default_factory=dict)  # lines of the page of the last trial

    def suits(self, image: np.ndarray, quads: Sequence[Quad]) -> bool:
        """True if the small model reads a few lines, from all parts of a BGR image, with certainty."""
        tried = quads[:: max(1, len(quads) // _TRIAL_LINES)][:_TRIAL_LINES]
        self._tried = {tuple(quad): self._read(crop_of(image, quad)) for quad in tried}
        return sum(map(_doubtful_share, self._tried.values())) <= _MOST_DOUBTFUL_OF_TRIAL * len(tried)

    def recognize(self, image: np.ndarray, quads: Sequence[Quad], found: Ink) -> list[Recognized]:
        """The text in each box of a BGR image."""
        height = float(np.median([height_of(quad) for quad in quads])) if quads else 0.0
        return [_tightened(self._recognize(image, quad, height, found), found) for quad in quads]

    def _recognize(self, image: np.ndarray, quad: Quad, line_height: float, found: Ink) -> Recognized:
        if not is_turned(quad, line_height):
            crop = crop_of(image, quad)
            words = self._tried.pop(tuple(quad), None) or self._read(crop)
            doubtful = _doubtful(words)
            if not _needs_line(words, doubtful):
                certain = self._with_second_readings(crop, words, doubtful)
                if certain and not _is_torn(line := _line(quad, certain, found)):
                    return line
        return recognize([self.usual], image, [quad], found, line_height)[0]

    def _read(self, crop: np.ndarray) -> list[_Word]:
        """The words of a line as the small model reads them."""
        own_ratio = crop.shape[1] / crop.shape[0]
        ratio = line_ratio(self.small, own_ratio)
        probabilities = self.small.session(self.small.resize_norm_img(crop, ratio)[np.newaxis])[0]
        return _words(_decode(probabilities, self.small.postprocess_op.character, ratio / own_ratio))

    def _with_second_readings(
        self, crop: np.ndarray, words: Sequence[_Word], doubtful: Sequence[tuple[int, int]]
    ) -> list[_Word]:
        """The words, with the doubtful ones as the usual model reads them; empty if that model is unsure, too."""
        result: list[_Word] = []
        after = 0
        for first, last in doubtful:
            before = words[first - 1].right if first else -words[first].left
            behind = words[last + 1].left if last + 1 < len(words) else 2.0 - words[last].right
            left, right = (before + words[first].left) / 2, (words[last].right + behind) / 2
            width = crop.shape[1]
            part = crop[:, int(left * width) : int(right * width) + 1]
            text, confidence, places = read_padded(self.usual, part, _part_ratio(part))
            was = "".join(word.text for word in words[first : last + 1])
            change = abs(len(text.replace(" ", "")) - len(was))
            if confidence < _SURE_AGAIN or change > _LEAST_CHANGED + _CHANGED * len(was):
                return []
            own = tuple(left + place * (right - left) for place in places)
            result += words[after:first]
            again = " ".join(_ELISION.sub("l", word) for word in text.split())
            result.append(_Word(again, confidence, False, 1.0, own, words[first].left, words[last].right))
            after = last + 1
        return [*result, *words[after:]]


def _part_ratio(part: np.ndarray) -> float:
    return max(float(part.shape[1] / part.shape[0]), _LEAST_PART) + _AFTER_PART


def _decode(probabilities: np.ndarray, characters: Sequence[str], padded: float) -> list[_Character]:
    """The characters of a line. probabilities: float32, shape (steps, classes), class 0 for none.

    `padded`: the length of all steps, as a multiple of the width of the line.
    """
    best = probabilities.argmax(axis=1)
    certain = probabilities[np.arange(len(best)), best]
    starts = np.flatnonzero(np.diff(best, prepend=-1))
    ends = np.append(starts[1:], len(best))
    highest = np.maximum.reduceat(certain, starts)
    step = padded / len(best)
    return [
        _Character(characters[best[start]], float(certain[start]), float(most), start * step, end * step)
        for start, end, most in zip(starts, ends, highest, strict=True)
        if best[start]
    ]


def _words(characters: Sequence[_Character]) -> list[_Word]:
    words: list[_Word] = []
    open_word: list[_Character] = []
    space = 1.0
    for character in characters:
        if not character.text.isspace():
            open_word.append(character)
            continue
        if open_word:
            words.append(_word(open_word, space))
            open_word, space = [], 1.0
        space = min(space, character.best)
    return [*words, _word(open_word, space)] if open_word else words


def _word(characters: Sequence[_Character], space: float) -> _Word:
    text = _ELISION.sub("l", "".join(map(_plain, characters)))
    is_certain = all(each.best >= _SURE or each.text in _APOSTROPHES for each in characters)
    return _Word(
        text=text,
        confidence=sum(character.probability for character in characters) / len(characters),
        is_doubtful=not is_certain or _ODD.search(text) is not None,
        space=space,
        places=tuple((character.left + character.right) / 2 for character in characters),
        left=characters[0].left,
        right=characters[-1].right,
    )


def _plain(character: _Character) -> str:
    is_doubtful = character.text in _APOSTROPHES and character.best < _SURE
    return "'" if is_doubtful else character.text


def _doubtful(words: Sequence[_Word]) -> list[tuple[int, int]]:
    """The first and last number of each sequence of doubtful words."""
    is_doubtful = [word.is_doubtful for word in words]
    for number, word in enumerate(words[1:], start=1):
        if word.space < _SURE_SPACE:
            is_doubtful[number - 1] = is_doubtful[number] = True
    steps = np.diff(np.concatenate([[0], is_doubtful, [0]]).astype(np.int8))
    return list(zip(np.flatnonzero(steps == 1).tolist(), (np.flatnonzero(steps == -1) - 1).tolist(), strict=True))


def _needs_line(words: Sequence[_Word], doubtful: Sequence[tuple[int, int]]) -> bool:
    """True if the usual model should read the line instead of the doubtful words."""
    if not words or any(_AMBIGUOUS.search(word.text) for word in words):
        return True
    length = sum(words[last].right - words[first].left for first, last in doubtful)
    return length > _MOST_DOUBTFUL * (words[-1].right - words[0].left)


def _doubtful_share(words: Sequence[_Word]) -> float:
    """The share of a line's characters that are in doubtful words; 1.0 if the model does not know its script."""
    if not words or _confidence(words) < _LEAST_CONFIDENCE:
        return 1.0
    return sum(len(word.text) for word in words if word.is_doubtful) / sum(len(word.text) for word in words)


def _confidence(words: Sequence[_Word]) -> float:
    return sum(word.confidence * len(word.text) for word in words) / max(1, sum(len(word.text) for word in words))


def _line(quad: Quad, words: Sequence[_Word], found: Ink) -> Recognized:
    places = [place for word in words for place in word.places]
    return measure(quad, " ".join(word.text for word in words), _confidence(words), places, found)


def _tightened(line: Recognized, found: Ink) -> Recognized:
    first, second, third, fourth = tightened(line.box.corners, found)
    return replace(line, box=replace(line.box, corners=(first, second, third, fourth)))


def _is_torn(line: Recognized) -> bool:
    """True if the model did not read some letters of a line, which it may not know."""
    return line.unread >= max(_LEAST_TORN, _TORN * line.glyphs)
