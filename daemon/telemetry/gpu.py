"""NVIDIA GPUs, as seen by `nvidia-smi` and /dev: the daemon's own process never uses CUDA."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

_SECONDS = 20.0  # without nvidia-persistenced the first query starts the driver, which is slow
_QUERY = (
    *("index", "name", "memory.used", "memory.total", "utilization.gpu", "driver_version"),
    *("uuid", "mig.mode.current"),
)
# Of `nvidia-smi -L`, below the line of their GPU: "  MIG 3g.71gb     Device  0: (UUID: MIG-41b3…)"
_GPU_LINE = re.compile(r"GPU \d+: .*\(UUID: (?P<uuid>GPU-[^)]+)\)")
_MIG_LINE = re.compile(r"\s+MIG (?P<profile>\S+\.(?P<size>\d+)gb\S*)\s+Device\s+\d+: \(UUID: (?P<uuid>MIG-[^)]+)\)")
_MIB = 1024 * 1024
_NVIDIA, _DISPLAY = "0x10de", "0x03"  # of /sys/bus/pci: vendor; class of display controllers


class GpuError(Exception):
    """There is a GPU that cannot be queried; the message gives the reason."""


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU; None: unknown."""

    index: str
    name: str
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    busy_share: float | None  # of the last second or less, 0 to 1
    driver: str
    uuid: str  # "GPU-…", or "MIG-…" of an instance
    is_divided: bool = False  # into MIG instances, which programs use in its place


def find(devices: Path = Path("/dev")) -> list[Gpu]:
    """The GPUs of this machine; none without a driver.

    Raises:
        GpuError: there are GPUs that cannot be queried.
    """
    lines = _run(f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader,nounits", devices=devices)
    return [parse(line) for line in lines if line.strip()]


def find_usable() -> list[Gpu]:
    """The GPUs of this machine as programs use them: the instances in place of a GPU that is divided into them.

    Raises:
        GpuError: as `find`.
    """
    found = find()
    if not any(each.is_divided for each in found):
        return found
    instances = _instances(_run("-L"), found)
    return [usable for each in found for usable in (instances.get(each.uuid, []) if each.is_divided else [each])]


def _instances(lines: Iterable[str], gpus: Iterable[Gpu]) -> dict[str, list[Gpu]]:
    """The MIG instances in the output of `nvidia-smi -L`, by the UUID of their GPU."""
    by_uuid, found, parent = {each.uuid: each for each in gpus}, dict[str, list[Gpu]](), ""
    for line in lines:
        if match := _GPU_LINE.match(line):
            parent = match["uuid"]
        elif (match := _MIG_LINE.match(line)) and parent in by_uuid:
            gpu, size = by_uuid[parent], int(match["size"]) * 10**9  # as its profile names it
            name = f"{gpu.name} MIG {match['profile']}"
            instance = replace(gpu, index="", name=name, uuid=match["uuid"], memory_total_bytes=size, is_divided=False)
            found.setdefault(parent, []).append(instance)
    return found


def _run(*arguments: str, devices: Path = Path("/dev")) -> list[str]:
    """The lines that nvidia-smi prints; none without a driver.

    Raises:
        GpuError: it cannot query the GPUs.
    """
    tool = shutil.which("nvidia-smi")
    if tool is None:
        if (devices / "nvidiactl").exists():
            raise GpuError("the NVIDIA driver is installed, but its command nvidia-smi is missing")
        return []
    try:
        done = subprocess.run(
            [tool, *arguments], capture_output=True, text=True, timeout=_SECONDS, env={**os.environ, "LC_ALL": "C"}
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GpuError(f"nvidia-smi does not answer: {error}") from error
    if done.returncode:
        raise GpuError(" ".join((done.stdout + done.stderr).split())[:300] or f"nvidia-smi failed ({done.returncode})")
    return done.stdout.splitlines()


def parse(line: str) -> Gpu:
    """Parse a line of nvidia-smi, which writes unknown values as [N/A] or similar.

    Raises:
        GpuError: it is not such a line.
    """
    fields = [field.strip() for field in line.split(",")]
    if len(fields) != len(_QUERY):
        raise GpuError(f"unexpected output of nvidia-smi: {line.strip()!r}")
    index, name, used, total, busy, driver, uuid, mig = fields
    return Gpu(
        index=index,
        name=name,
        memory_used_bytes=_scaled(used, _MIB),
        memory_total_bytes=_scaled(total, _MIB),
        busy_share=None if _scaled(busy, 1) is None else float(busy) / 100,
        driver=driver,
        uuid=uuid,
        is_divided=mig == "Enabled",
    )


def is_without_driver(pci: Path = Path("/sys/bus/pci/devices")) -> bool:
    """True if this machine has an NVIDIA GPU without a driver."""
    for device in pci.glob("*"):
        try:
            is_gpu = (device / "vendor").read_text().strip() == _NVIDIA
            is_gpu = is_gpu and (device / "class").read_text().startswith(_DISPLAY)
        except OSError:
            continue
        if is_gpu and not (device / "driver").exists():
            return True
    return False


def _scaled(text: str, factor: int) -> int | None:
    try:
        return int(float(text) * factor)
    except ValueError:
        return None
