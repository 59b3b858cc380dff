"""Durations and amounts of memory as config.toml writes them: "90s", "6GB", "80%". Pure."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

_MAX_SECONDS = 100 * 366 * 86400  # 100 years, so that microseconds fit into 64 bits
_UNIT_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_duration(value: object) -> float:
    """Seconds from a number, or from text such as "90s", "1.5h", "10m".

    Raises:
        ValueError: the text is not a duration, or it is longer than 100 years.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _checked_duration(value)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*", str(value))
    if not match:
        raise ValueError(f'{value!r} is not a duration; write a number of seconds, or "30s", "10m", "2h", "7d"')
    return _checked_duration(float(match[1]) * _UNIT_SECONDS[match[2]])


def _checked_duration(seconds: int | float) -> float:
    if not abs(seconds) <= _MAX_SECONDS:  # also NaN
        raise ValueError("duration too long (maximum: 100 years)")
    return float(seconds)


Seconds = Annotated[float, BeforeValidator(parse_duration), Field(ge=0)]


def parse_size(value: object) -> int | float:
    """An int is bytes: from "6GB", "512MiB", "20kB". A float is a share of the machine's memory: from "80%".

    Raises:
        ValueError: the text is no size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(B|%|[kKMGT]i?B)?\s*", str(value))
    if not match or not 0 < float(match[1]) < 2**63:
        raise ValueError(f'{value!r} is not an amount of memory; write "6GB", "512MiB", or "80%" of the machine\'s')
    if match[2] == "%":
        return float(match[1]) / 100
    prefix, base = (match[2] or "B").removesuffix("B"), 1024 if "i" in (match[2] or "") else 1000
    return int(float(match[1]) * base ** " KMGT".index(prefix[:1].upper() or " "))


def _check_size(value: object) -> str:
    parse_size(value)
    return str(value)


Memory = Annotated[str, BeforeValidator(_check_size)]
