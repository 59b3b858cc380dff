"""Manages weights on the nodes of a cluster: runs `processors.models_cli` on all nodes at the same time."""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from processors.cluster.far import Hello, News
from processors.cluster.link import FarError, Link, Lost
from processors.cluster.near import ANSWER_SECONDS, START_SECONDS
from processors.cluster.nodes import Node, Target, named
from processors.contract import Unavailable

OnLine = Callable[
    [str, str, bool], None
]  # arguments: name of the node, a line of output, whether the line is from stderr


def run(address: str, token_file: str, arguments: Sequence[str], on_line: OnLine) -> int:
    """Run the program with these arguments on each node besides this machine; return the highest exit code."""
    from processors.cluster import ray_link

    try:
        ray_link.connect(address, token_file)
        nodes = [node for node in named(ray_link.living_nodes()) if not node.is_local]
    except (Unavailable, Lost) as error:
        on_line("", str(error), True)
        return os.EX_UNAVAILABLE

    def run_there(node: Node) -> int:
        link = ray_link.RayLink(_target(node, address, token_file), f"models on {node.name}")
        return run_on(node.name, link, arguments, on_line)

    if not nodes:
        return os.EX_OK
    with ThreadPoolExecutor(len(nodes)) as threads:
        return max(threads.map(run_there, nodes))


def run_on(node: str, link: Link, arguments: Sequence[str], on_line: OnLine) -> int:
    """Run the program on one node; return its exit code."""
    try:
        hello = link.call("hello").wait(START_SECONDS)
        assert isinstance(hello, Hello)
        link.call("start_models", [*arguments]).wait(START_SECONDS)
        return _follow(node, link, on_line)
    except (Lost, FarError) as error:
        on_line(node, str(error), True)
        return os.EX_UNAVAILABLE


def _follow(node: str, link: Link, on_line: OnLine) -> int:
    """Pass the lines of the program on until it exits; return its exit code."""
    number, log = 0, b""
    while True:
        news = link.call("receive", number).wait(ANSWER_SECONDS)
        assert isinstance(news, News)
        for event in news.events:
            number = event.number
            if event.kind == "line":
                on_line(node, _text(event.data), False)
            elif event.kind == "log":
                *lines, log = (log + event.data).split(b"\n")
                for line in lines:
                    on_line(node, _text(line), True)
            elif event.exit_status < 0:
                on_line(node, f"The program was killed by signal {-event.exit_status}.", True)
                return os.EX_UNAVAILABLE
            else:
                return event.exit_status


def _text(line: bytes) -> str:
    return line.decode(sys.stdout.encoding, errors="replace").rstrip()


def _target(node: Node, address: str, token_file: str) -> Target:
    """The target of a far half that reserves no CPU or GPU of the node."""
    return Target(
        address=address,
        token_file=token_file,
        models="",
        node=node.name,
        node_id=node.id,
        cpus=0.0,
        gpus=0.0,
        threads=1,
        memory_max="100%",
    )
