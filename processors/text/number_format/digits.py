"""Numbers in digits, as the tokens of a number format ask for: decimals, groups, exponents and fractions."""

import math
import re
from decimal import ROUND_HALF_UP, Decimal

from processors.text.number_format.plain import plain
from processors.text.number_format.sections import Section, Token

_FRACTION = re.compile(r"([#0?]*)\s*([#0?]+)\s*/\s*([#0?]+|\d+)")


def show_digits(number: Decimal, section: Section, sign: str) -> str:
    """A number, not negative, as a section with digits shows it; `sign` stands before it."""
    tokens = section.tokens
    digits = [index for index, token in enumerate(tokens) if token.kind == "digits"]
    first, last = digits[0], digits[-1]
    after = last + 1
    while after < len(tokens) and tokens[after] == Token("other", ","):
        number /= 1000
        after += 1
    number *= Decimal(100) ** sum(token == Token("other", "%") for token in tokens)
    core = tokens[first : last + 1]
    before, behind = ("".join(token.text for token in part) for part in (tokens[:first], tokens[after:]))
    kinds = {token.kind for token in core}
    if any(token == Token("other", "/") for token in tokens):
        pattern = "".join(token.text for token in tokens[first:])
        return f"{sign}{before}{_fraction(number, pattern)}"
    if "exponent" in kinds:
        shown = _scientific(number, core)
    elif "quoted" in kinds:
        shown = _interleaved(number, core)
    else:
        shown = _decimal(number, "".join(token.text for token in core))
    if not any(char in "123456789" for char in shown):
        sign = ""  # it is rounded to zero
    return f"{sign}{before}{shown}{behind}"


def _decimal(number: Decimal, pattern: str) -> str:
    """A number in digits, such as "#,##0.00"."""
    whole, point, places = pattern.partition(".")
    is_grouped = "," in whole
    whole = whole.replace(",", "")
    places = places.replace(",", "")
    rounded = number.quantize(Decimal(1).scaleb(-len(places)), ROUND_HALF_UP)
    left, _, right = f"{rounded:f}".partition(".")
    left = left.lstrip("0").rjust(whole.count("0"), "0")
    if is_grouped and left:
        left = _grouped(left)
    optional = len(places) - len(places.rstrip("#?"))
    while optional and right.endswith("0"):
        right, optional = right[:-1], optional - 1
    return f"{left}{point}{right}" if point else left


def _grouped(digits: str) -> str:
    start = len(digits) % 3
    groups = [digits[:start], *(digits[at : at + 3] for at in range(start, len(digits), 3))]
    return ",".join(group for group in groups if group)


def _interleaved(number: Decimal, core: tuple[Token, ...]) -> str:
    """Digits with text between them, such as 000-0000, filled from the right."""
    if any(token == Token("other", ".") for token in core):
        head = "".join(token.text for token in core if token.kind in ("digits", "other"))
        return _decimal(number, head)
    slots = sum(len(token.text) for token in core if token.kind == "digits")
    left = f"{number.quantize(Decimal(1), ROUND_HALF_UP):f}"
    zeros = sum(token.text.count("0") for token in core)
    left = left.lstrip("0").rjust(zeros, "0").rjust(slots, "\0")
    extra, left = left[: len(left) - slots], left[len(left) - slots :]
    found, at = [extra], 0
    for token in core:
        if token.kind == "digits":
            found.append(left[at : at + len(token.text)])
            at += len(token.text)
        elif token.text != ",":
            found.append(token.text)
    return "".join(found).replace("\0", "")


def _scientific(number: Decimal, core: tuple[Token, ...]) -> str:
    at = next(index for index, token in enumerate(core) if token.kind == "exponent")
    pattern = "".join(token.text for token in core[:at])
    width = sum(len(token.text) for token in core[at + 1 :] if token.kind == "digits")
    step = max(1, len(pattern.partition(".")[0].replace(",", "")))
    exponent = math.floor(number.adjusted() / step) * step if number else 0
    shown = _decimal(number.scaleb(-exponent), pattern)
    if number and Decimal(shown) >= Decimal(10) ** step:  # rounded up
        exponent += step
        shown = _decimal(number.scaleb(-exponent), pattern)
    sign = "-" if exponent < 0 else "+" if core[at].text.endswith("+") else ""
    return f"{shown}E{sign}{abs(exponent):0{width}}"


def _fraction(number: Decimal, pattern: str) -> str:
    match = _FRACTION.match(pattern)
    if match is None:
        return plain(float(number))
    integer, _, denominator = match.groups()
    limit = int(denominator) if denominator.isdigit() and int(denominator) else 10 ** len(denominator) - 1
    whole = int(number) if integer else 0
    rest = float(number) - whole
    if denominator.isdigit() and int(denominator):
        above, below = round(rest * limit), limit
    else:
        from fractions import Fraction

        near = Fraction(rest).limit_denominator(limit)
        above, below = near.numerator, near.denominator
    if integer and above == below:
        whole, above = whole + 1, 0
    if not above:
        return str(whole)
    return f"{whole} {above}/{below}" if whole else f"{above}/{below}"
