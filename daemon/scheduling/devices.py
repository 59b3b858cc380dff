"""The devices that workers compute on: the CPU, and each NVIDIA GPU that this process may use.

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
from daemon.telemetry import gpu
from daemon.telemetry.gpu import Gpu, GpuError
from daemon.workers.supervisor import Seat
from processors import contract

log = logging.getLogger(__name__)

CPU = "cpu"
_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device and its limits."""

    name: str  # "cpu", "cuda:0" …
    kind: Literal["cpu", "gpu"]
    at_once: int  # maximum number of models loaded on it
    memory_bytes: float  # that they share
    uuid: str = ""  # of a GPU
    model: str = ""  # "NVIDIA H200"; "": unknown


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
        Device(name=CPU, kind="cpu", at_once=_at_once(cpu, workers), memory_bytes=_memory(cpu, workers, None)),
    )


def unknown(tables: Mapping[str, DeviceTable], found: Sequence[Gpu]) -> list[str]:
    """The names in `tables` of GPUs that this machine does not have."""
    gpus = _named(tables, found)
    return [name for name in tables if name != CPU and gpus.get(name) not in found]


def seat(chosen: Sequence[Device], devices: Sequence[Device]) -> Seat:
    """Where a worker on the `chosen` ones of all `devices` computes."""
    uuids = [each.uuid for each in chosen if _is_uuid(each.uuid)]
    rivals = sum(each.at_once for each in devices if each.kind == chosen[0].kind)
    return Seat(
        device=",".join(each.name for each in chosen),
        environment={_VISIBLE: ",".join(uuids)} if uuids else {},
        threads=max(1, (os.cpu_count() or 1) // rivals),
    )


def places(
    devices: Sequence[Device], parts: Sequence[tuple[type[contract.Processor], contract.Options]]
) -> tuple[tuple[Device, ...], ...] | contract.NotReady:
    """The devices of each worker that a processor may have. `parts`: the processor and its options, and those of the
    recipes that follow, which compute on the same device."""
    uses = [(each.gpu_use(options), str(getattr(options, "device", ""))) for each, options in parts]
    on_gpu = [(use, name) for use, name in uses if use is not contract.GpuUse.NONE]
    gpus = [each for each in devices if each.kind == "gpu"]
    if not on_gpu or not gpus:
        return tuple((each,) for each in devices if each.kind == CPU)
    if any(use is contract.GpuUse.ALL for use, _ in on_gpu):
        return (tuple(gpus),)
    name = next((name for _, name in on_gpu if name.startswith("cuda:")), None)
    if chosen := tuple((each,) for each in gpus if name in (None, each.name)):
        return chosen
    known = ", ".join(each.name for each in gpus)
    return contract.NotReady(why=f"This machine has no GPU {name}: correct `device` in config.toml. Its GPUs: {known}.")


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
