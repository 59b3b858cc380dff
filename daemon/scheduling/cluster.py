"""The nodes of the Ray cluster as devices, and which of them are lost. Pure.

A node that is lost stays known for a while: its models must not move to the CPU of this machine because of a reboot.
The devices of this machine are the daemon's own, so its own node adds none.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from daemon.config.schema import DeviceTable, WorkersTable
from daemon.scheduling.devices import Device
from processors.cluster.nodes import Node

FORGET_SECONDS = 3600.0  # after which a lost node is forgotten, unless it is the last one


@dataclass(frozen=True, kw_only=True)
class KnownNode:
    """A node that was there since the daemon started."""

    node: Node
    lost_at: float | None = None  # of the monotonic clock; None: it is there


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What is known of the cluster."""

    address: str = ""  # "": there is none
    nodes: tuple[KnownNode, ...] = ()
    problem: str = ""  # why it cannot be reached
    was_seen: bool = False  # since the daemon started

    @property
    def is_awaited(self) -> bool:
        """True if no node has been seen yet, so that its resources are unknown."""
        return bool(self.address) and not self.nodes

    @property
    def is_connecting(self) -> bool:
        """True until it has been reached, or could not be."""
        return bool(self.address) and not self.was_seen and not self.problem

    def updated(self, living: Sequence[Node], problem: str, now: float) -> "Cluster":
        """The cluster with the nodes that live now."""
        there = {node.name: KnownNode(node=node) for node in living if not node.is_local}
        lost = [
            each if each.lost_at is not None else replace(each, lost_at=now)
            for each in self.nodes
            if each.node.name not in there
        ]
        kept = [each for each in lost if not there or now - (each.lost_at or now) < FORGET_SECONDS]
        nodes = sorted([*there.values(), *kept], key=lambda each: each.node.name)
        return replace(self, nodes=tuple(nodes), problem=problem, was_seen=self.was_seen or not problem)


def devices(cluster: Cluster, tables: Mapping[str, DeviceTable], workers: WorkersTable) -> tuple[Device, ...]:
    """The devices of the nodes, the GPUs first, with the limits of config.toml."""
    found = [device for each in cluster.nodes for device in _of_node(each, tables, workers)]
    return tuple(sorted(found, key=lambda device: device.kind != "gpu"))


def _of_node(known: KnownNode, tables: Mapping[str, DeviceTable], workers: WorkersTable) -> list[Device]:
    node, found = known.node, []
    for name in (*(f"gpu{number}" for number in range(node.gpus)), *(("cpu",) if node.cpus else ())):
        table = tables.get(f"{node.name}:{name}", DeviceTable())
        is_cpu = name == "cpu"
        if not table.use:
            continue
        # Ray counts the CPUs that actors take, and gives a GPU to one; a second model on it must be configured
        at_once = table.at_once or (min(workers.at_once, node.cpus) if is_cpu else 1)
        of_node = (node.memory_bytes or math.inf) if is_cpu else math.inf
        found.append(
            Device(
                name=f"{node.name}:{name}",
                kind="cpu" if is_cpu else "gpu",
                at_once=at_once,
                memory_bytes=table.memory_bytes or (workers.memory_bytes if workers.memory else of_node),
                model="" if is_cpu else node.gpu_model,
                node=node,
                is_lost=known.lost_at is not None,
            )
        )
    return found
