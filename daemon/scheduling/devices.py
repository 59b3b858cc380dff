"""The devices that workers compute on: the CPU, each NVIDIA GPU that this process may use, and those of the nodes of
a cluster (see `cluster`).

A GPU has the name that torch gives it ("cuda:0" for the first), also in the job log. Its workers see no other GPU: they
get its UUID in CUDA_VISIBLE_DEVICES, because numbers mean different GPUs to different programs. Where no GPU is
found, everything runs on one device, the CPU, and the workers inherit the environment: torch may still find a GPU that
nvidia-smi does not know.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from daemon.config.schema import DeviceTable, WorkersTable
from daemon.config.values import is_of_node
from daemon.telemetry import gpu
from daemon.telemetry.gpu import Gpu, GpuError
from daemon.workers.supervisor import Seat, Share
from processors import contract
from processors.cluster.nodes import Node

log = logging.getLogger(__name__)

CPU = "cpu"
_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device and its limits."""

    name: str  # "cpu", "cuda:0" …; of a node: "box2:cpu", "box2:gpu0"
    kind: Literal["cpu", "gpu"]
    at_once: int  # maximum number of models loaded on it
    memory_bytes: float  # that they share
    uuid: str = ""  # of a GPU
    model: str = ""  # "NVIDIA H200"; "": unknown
    node: Node | None = None  # of the cluster; None: this machine
    is_lost: bool = False  # its node is not there
    is_reserve: bool = False  # only for what no node may do


def discover(environment: Mapping[str, str] = os.environ) -> list[Gpu]:
    """The GPUs that this process may use, in the order of nvidia-smi or of its own CUDA_VISIBLE_DEVICES."""
    try:
        found = gpu.find_usable()
    except GpuError as error:
        log.warning("cannot query the GPUs, so each library chooses its device: %s", error)
        return []
    return visible(found, environment.get(_VISIBLE))


def visible(found: Sequence[Gpu], listed: str | None) -> list[Gpu]:
    """The GPUs that CUDA_VISIBLE_DEVICES lists, in its order. listed: its value; None: it is not set. As CUDA does,
    ignore what follows an unknown entry.

    Source: CUDA C++ Programming Guide, "CUDA Environment Variables". Numbers are those of nvidia-smi.
    """
    if listed is None:
        return [*found]
    chosen: list[Gpu] = []
    for entry in map(str.strip, listed.split(",")):
        named = [each for each in found if each.index == entry or (_is_uuid(entry) and each.uuid.startswith(entry))]
        if not entry or len(named) != 1 or named[0] in chosen:
            break
        chosen += named
    return chosen


def choose(tables: Mapping[str, DeviceTable], workers: WorkersTable, found: Sequence[Gpu]) -> tuple[Device, ...]:
    """The devices of this machine, the GPUs first, with the limits of config.toml."""
    gpus = _named(tables, found)
    for name in unknown(tables, found):
        log.warning('[devices."%s"] of config.toml: nvidia-smi shows no such GPU', name)
    used = {name: each for name, each in gpus.items() if name not in tables or tables[name].use}
    devices = [
        Device(
            name=name,
            kind="gpu",
            at_once=_at_once(tables.get(name), workers),
            memory_bytes=_memory(tables.get(name), workers, each.memory_total_bytes),
            uuid=each.uuid,
            model=each.name,
        )
        for name, each in used.items()
    ]
    cpu = tables.get(CPU)
    return (
        *devices,
        Device(
            name=CPU,
            kind="cpu",
            at_once=_at_once(cpu, workers),
            memory_bytes=_memory(cpu, workers, None),
            is_reserve=cpu is not None and not cpu.use,
        ),
    )


def unknown(tables: Mapping[str, DeviceTable], found: Sequence[Gpu]) -> list[str]:
    """The names in `tables` of GPUs that this machine does not have."""
    gpus = _named(tables, found)
    return [name for name in tables if name != CPU and not is_of_node(name) and gpus.get(name) not in found]


def seat(chosen: Sequence[Device], devices: Sequence[Device]) -> Seat:
    """Where a worker on the `chosen` ones of all `devices` computes."""
    if (node := chosen[0].node) is not None:
        return Seat(device=",".join(each.name for each in chosen), remote=_share(node, chosen))
    uuids = [each.uuid for each in chosen if _is_uuid(each.uuid)]
    rivals = sum(each.at_once for each in devices if each.kind == chosen[0].kind and each.node is None)
    return Seat(
        device=",".join(each.name for each in chosen),
        environment={_VISIBLE: ",".join(uuids)} if uuids else {},
        threads=max(1, (os.cpu_count() or 1) // rivals),
    )


def _share(node: Node, chosen: Sequence[Device]) -> Share:
    """What a worker takes of its node."""
    on_gpu, at_once = chosen[0].kind == "gpu", chosen[0].at_once
    return Share(
        node=node.name,
        node_id=node.id,
        cpus=0.0 if on_gpu else min(1.0, node.cpus / at_once),
        gpus=len(chosen) / at_once if on_gpu else 0.0,
        threads=max(1, node.cpus // (at_once * max(1, node.gpus) if on_gpu else at_once)),
    )


@dataclass(frozen=True, kw_only=True)
class Demand:
    """The devices that a processor needs."""

    use: contract.GpuUse
    name: str = ""  # of the GPU that its options name: "cuda:1"
    is_bound: bool = False  # to this machine


def demand(parts: Sequence[tuple[type[contract.Processor], contract.Options]]) -> Demand:
    """What a processor needs. `parts`: the processor and its options, and those of the recipes that follow, which
    compute on the same device."""
    uses = [(each.gpu_use(options), str(getattr(options, "device", ""))) for each, options in parts]
    on_gpu = [(use, name) for use, name in uses if use is not contract.GpuUse.NONE]
    name = next((name for _, name in on_gpu if name.startswith("cuda:")), "")
    use = max((use for use, _ in on_gpu), key=[*contract.GpuUse].index, default=contract.GpuUse.NONE)
    return Demand(use=use, name=name, is_bound=any(each.is_bound_to_machine(options) for each, options in parts))


def places(devices: Sequence[Device], needed: Demand) -> tuple[tuple[Device, ...], ...] | contract.NotReady:
    """The devices of each worker that a processor may have."""
    able = [each for each in devices if each.node is None or not needed.is_bound]
    gpus = [each for each in able if each.kind == "gpu"]
    if needed.use is contract.GpuUse.NONE or not gpus:
        cpus = [each for each in able if each.kind == CPU]
        return tuple((each,) for each in cpus if not each.is_reserve) or tuple((each,) for each in cpus)
    if needed.use is contract.GpuUse.ALL:
        machines = dict.fromkeys(each.node for each in gpus)
        return tuple(tuple(each for each in gpus if each.node == machine) for machine in machines)
    if chosen := tuple((each,) for each in gpus if needed.name in ("", each.name)):
        return chosen
    known = ", ".join(each.name for each in gpus)
    return contract.NotReady(
        why=f"This machine has no GPU {needed.name}: correct `device` in config.toml. Its GPUs: {known}."
    )


def _named(tables: Mapping[str, DeviceTable], found: Sequence[Gpu]) -> dict[str, Gpu]:
    """The GPUs by name: the name in config.toml, or else one made of the number."""
    by_uuid = {each.uuid: each for each in found}
    named = {name: by_uuid.get(table.uuid) or _unknown(table.uuid) for name, table in tables.items() if table.uuid}
    taken = {each.uuid for each in named.values()}
    numbers = (number for number in range(len(found) + len(named)) if f"cuda:{number}" not in named)
    named |= {f"cuda:{next(numbers)}": each for each in found if each.uuid not in taken}
    return dict(sorted(named.items(), key=lambda item: int(item[0].partition(":")[2])))


def _unknown(uuid: str) -> Gpu:
    """A GPU that only config.toml names."""
    return Gpu(
        index="",
        name="",
        memory_used_bytes=None,
        memory_total_bytes=None,
        busy_share=None,
        driver="",
        uuid=uuid,
    )


def _at_once(table: DeviceTable | None, workers: WorkersTable) -> int:
    return workers.at_once if table is None or table.at_once is None else table.at_once


def _memory(table: DeviceTable | None, workers: WorkersTable, total: int | None) -> float:
    if table is not None and table.memory_bytes is not None:
        return table.memory_bytes
    return workers.memory_bytes if workers.memory or total is None else total


def _is_uuid(entry: str) -> bool:
    return entry.startswith(("GPU-", "MIG-"))
