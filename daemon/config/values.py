"""The types of values in config.toml, with their checks; `schema` has the keys."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictInt,
)

from daemon.config.hours import Hours, parse_clock
from daemon.config.toml import check_plain, has_controls
from processors.quantities import parse_duration, parse_size

Originals = Literal["keep", "archive", "delete"]
ResultLayout = Literal["folder", "flat"]
Duplicates = Literal["process", "skip", "reuse"]
Unsupported = Literal["pass", "leave", "fail"]
_MAX_PRIORITY = 1_000_000
Priority = Annotated[StrictInt, Field(ge=-_MAX_PRIORITY, le=_MAX_PRIORITY)]
PlainTable = Annotated[dict[str, object], AfterValidator(check_plain)]  # that a row of the job log can store


def _normalize_hours(text: str) -> str:
    return str(Hours.parse(text))


ActiveHours = Annotated[str, AfterValidator(_normalize_hours)]  # "22:00-06:00"; "": always


def _check_clock(text: str) -> str:
    parse_clock(text)
    return text


ClockTime = Annotated[str, AfterValidator(_check_clock)]  # "03:30"


def _check_clock_or_none(text: str) -> str:
    return text and _check_clock(text)


ClockTimeOrNone = Annotated[str, AfterValidator(_check_clock_or_none)]  # "": never


def check_line(text: str) -> str:
    """Return `text` if it may be a path, a program or an address.

    Raises:
        ValueError: it has control characters, which none of these may have; open(2) and execve(2) refuse a NUL.
    """
    if has_controls(text):
        raise ValueError("must not contain control characters, such as line breaks")
    return text


def _check_line_if_text(value: object) -> object:
    return check_line(value) if isinstance(value, str) else value


def _check_argument(text: str) -> str:
    if has_controls(text, allowed="\n\t"):
        raise ValueError("must not contain control characters other than line breaks and tabs")
    return text


def _check_pattern(pattern: str) -> str:
    if not pattern.strip("*?/"):
        raise ValueError(f'"{pattern}" would ignore every file: write a name, such as "*.bak"')
    if pattern.startswith("/") or ".." in pattern.split("/"):
        raise ValueError(
            f'"{pattern}" is not relative to the inbox: write it without "/" at its start, and without ".."'
        )
    return pattern


Pattern = Annotated[str, AfterValidator(check_line), AfterValidator(_check_pattern), Field(max_length=255)]
Line = Annotated[str, AfterValidator(check_line)]  # a program or an address
PlainPath = Annotated[Path, BeforeValidator(_check_line_if_text)]
Argument = Annotated[str, AfterValidator(_check_argument)]  # of a program; may be a script with several lines


def _parse_age(value: object) -> float | None:
    if value in ("", None):
        return None
    seconds = parse_duration(value)
    if seconds <= 0:
        raise ValueError('must be greater than 0; "" means never remove')
    return seconds


Age = Annotated[float | None, BeforeValidator(_parse_age)]  # seconds; None: never remove


def _check_local_address(text: str) -> str:
    if not text or text.startswith("/"):
        return text
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdecimal() or len(port) > 5 or not 0 < int(port) < 65536:
        raise ValueError('write an address and a port, such as "127.0.0.1:9461", or the path of a Unix socket')
    if not is_loopback(host):
        raise ValueError(
            "anyone who can connect can read the metrics, so they are served on this machine only: "
            'write "127.0.0.1:9461", and use a proxy with authentication for other machines'
        )
    return text


LocalAddress = Annotated[Line, AfterValidator(_check_local_address)]  # "127.0.0.1:9461", or a Unix socket


def _check_textfile(path: str) -> str:
    if path and not path.endswith(".prom"):
        raise ValueError('node_exporter reads only files that end in ".prom"')
    return path


Textfile = Annotated[Line, AfterValidator(_check_textfile)]  # for node_exporter


def _check_address(text: str) -> str:
    if text.startswith("/"):
        return text
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or len(port) > 5 or not 0 <= int(port) < 65536:
        raise ValueError('write an address and a port, such as "127.0.0.1:8100", or the path of a Unix socket')
    return text


Address = Annotated[Line, AfterValidator(_check_address)]  # "127.0.0.1:8100", or a Unix socket


def _check_network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise ValueError('write an address or a network, such as "127.0.0.1" or "10.0.0.0/8"') from None
    return text


Network = Annotated[Line, AfterValidator(_check_network)]  # "10.0.0.0/8", or one address


def _check_prefix(text: str) -> str:
    if text and (not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", text) or {".", ".."} & set(text.split("/"))):
        raise ValueError('write the path below which a proxy serves the console, such as "/inboxd"')
    return text


PathPrefix = Annotated[Line, AfterValidator(_check_prefix)]  # "/inboxd"


def _parse_limit(value: object) -> int:
    size = parse_size(value) if isinstance(value, str) else value
    if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
        raise ValueError('write an amount, such as "4GB"')
    return size


Limit = Annotated[int, BeforeValidator(_parse_limit)]  # bytes


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_amount(text: str) -> str:
    if text and not isinstance(parse_size(text), int):
        raise ValueError('write an amount, such as "14GB"')
    return text


Amount = Annotated[str, AfterValidator(_check_amount)]  # of memory, such as "14GB"; "": none is set


def _check_uuid(text: str) -> str:
    if text and not text.startswith(("GPU-", "MIG-")):
        raise ValueError('write a UUID that nvidia-smi -L shows, which begins with "GPU-" or "MIG-"')
    return text


GpuUuid = Annotated[Line, AfterValidator(_check_uuid)]


def is_device(name: str) -> bool:
    """True for "cpu", "cuda:0", "cuda:1" …, and for those of nodes."""
    return is_of_node(name) or re.fullmatch(r"cpu|cuda:(0|[1-9][0-9]{0,2})", name) is not None


def is_of_node(name: str) -> bool:
    """True for a device of a node of the cluster: "box2:cpu", "box2:gpu0" …"""
    return re.fullmatch(r"[^:\s]+:(cpu|gpu(0|[1-9][0-9]{0,2}))", name) is not None


def _check_cluster(text: str) -> str:
    host, _, port = text.rpartition(":")
    if text in ("", "auto") or (host and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        return text
    raise ValueError('write the address of the head of the cluster, such as "192.168.1.10:6379", or "auto"')


ClusterAddress = Annotated[Line, AfterValidator(_check_cluster)]  # "auto", or HOST:PORT of the head
