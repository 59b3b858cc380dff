"""The sections of a number format and their tokens, such as "#,##0.00;[Red]-0.0"."""

import re
from dataclasses import dataclass
from functools import lru_cache

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|_(?P<blank>.)|\*(?P<filled>.)|\[\$(?P<currency>[^\]]*)\]|\[(?P<bracket>[^\]]*)\]'
    r"|(?P<half>AM/PM|A/P)|(?P<general>General)|(?P<exponent>E[+-])|(?P<date>y+|m+|d+|h+|s+(?:\.0+)?|e+|g+)"
    r"|(?P<digits>[0#?]+)|(?P<text>@)|(?P<other>.)",
    re.I | re.S,
)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?\d+(?:\.\d+)?)")
_ELAPSED = re.compile(r"h+|m+|s+", re.I)
_SECTION = re.compile(r'("[^"]*"?|\\.|\[[^\]]*\]|[^;"\\\[]|\[)+|(?<=;)(?=;)|(?<=;)$|^(?=;)', re.S)


@dataclass(frozen=True)
class Token:
    kind: str  # the name of a group of `_TOKEN`; or "elapsed"
    text: str


@dataclass(frozen=True)
class Section:
    tokens: tuple[Token, ...]
    condition: tuple[str, float] | None = None
    language: int = 0  # LCID of [$-407]; 0: none

    @property
    def is_date(self) -> bool:
        return any(token.kind in ("date", "elapsed", "half") for token in self.tokens)

    @property
    def is_general(self) -> bool:
        return any(token.kind == "general" for token in self.tokens)

    @property
    def has_digits(self) -> bool:
        return any(token.kind == "digits" for token in self.tokens)


@lru_cache(maxsize=1000)
def parse_sections(number_format: str) -> tuple[Section, ...]:
    """The sections of a number format, at most four."""
    parts = [match[0] for match in _SECTION.finditer(number_format)][:4] or ["General"]
    return tuple(_section(part) for part in parts)


def _section(part: str) -> Section:
    tokens: list[Token] = []
    condition, language = None, 0
    for match in _TOKEN.finditer(part):
        kind = str(match.lastgroup)
        text = match[kind]
        if kind == "currency":
            symbol, _, code = text.partition("-")
            language = int(code[-4:], 16) if re.fullmatch(r"[0-9A-Fa-f]+", code) else language
            tokens += [Token("quoted", symbol)] if symbol else []
        elif kind == "bracket":
            found = _CONDITION.fullmatch(text.strip())
            condition = (found[1], float(found[2])) if found else condition
            tokens += [Token("elapsed", text.lower())] if _ELAPSED.fullmatch(text) else []
        elif kind == "blank":
            tokens.append(Token("quoted", " "))
        elif kind in ("escaped", "other") and not (kind == "other" and text in ".,%/"):
            tokens.append(Token("quoted", text))
        elif kind != "filled":
            tokens.append(Token(kind, text))
    return Section(tuple(tokens), condition, language)


def choose_section(number: float, sections: tuple[Section, ...]) -> tuple[Section, bool]:
    """The section for a number, and whether the section replaces its sign."""
    of_numbers = [each for each in sections if not any(token.kind == "text" for token in each.tokens)] or list(sections)
    if any(each.condition for each in of_numbers):
        for each in of_numbers:
            if each.condition is None or _holds(number, each.condition):
                return each, each.condition is not None and each.condition[0] in ("<", "<=") and number < 0
        return of_numbers[-1], False
    if number < 0 and len(of_numbers) > 1:
        return of_numbers[1], True
    if number == 0 and len(of_numbers) > 2:
        return of_numbers[2], False
    return of_numbers[0], False


def _holds(number: float, condition: tuple[str, float]) -> bool:
    sign, limit = condition
    return {
        "<": number < limit,
        "<=": number <= limit,
        ">": number > limit,
        ">=": number >= limit,
        "=": number == limit,
        "<>": number != limit,
    }[sign]
