"""The nodes of a cluster, as `watch` reports them to the daemon, and the target of a near half. No I/O."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Node:
    """A living node."""

    id: str  # of Ray: another one after each start of the node
    name: str  # unique among the nodes, without ":"
    host: str  # its IP address
    is_local: bool  # the daemon's machine is connected through it
    cpus: int  # as the node offers them to Ray
    gpus: int
    gpu_model: str  # "H200"; "": unknown
    memory_bytes: int  # of workers, as the node offers it to Ray


@dataclass(frozen=True, kw_only=True)
class Report:
    """A line that `watch` prints."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a remote worker runs: an argument of `near`."""

    address: str  # of the cluster: "auto", or HOST:PORT
    token_file: str  # with the token of the cluster; "": Ray's own settings
    models: str  # the folder of weights on the node
    node: str  # name of the node
    node_id: str
    cpus: float  # that the worker reserves, of those that the node offers to Ray
    gpus: float
    threads: int  # the worker's share of the node's cores
    memory_max: str  # the option of the processor; "80%" is of the node's memory
    python: str | None = None  # interpreter on the node; None: that of Ray
    shared: str = ""  # a folder that the node has at the same path as the daemon's machine; "": none


def encode_report(report: Report) -> bytes:
    """Encode a report as one line."""
    return json.dumps(asdict(report)).encode() + b"\n"


def decode_report(line: bytes) -> Report:
    """
    Raises:
        ValueError: the line is not a report.
    """
    try:
        return Report(nodes=tuple(Node(**fields) for fields in json.loads(line)["nodes"]))
    except (TypeError, KeyError) as error:
        raise ValueError(f"not a report: {line[:200]!r}") from error


def encode_target(target: Target) -> str:
    return json.dumps(asdict(target))


def decode_target(text: str) -> Target:
    return Target(**json.loads(text))


def named(nodes: Sequence[Node]) -> list[Node]:
    """Return the nodes with unique names without ":", which separates the names of a node and its device."""
    names = [re.sub(r"[:\s]", "-", node.name) for node in nodes]
    return [
        replace(node, name=name if names.count(name) == 1 else f"{name}-{node.id[:6]}")
        for name, node in zip(names, nodes, strict=True)
    ]
