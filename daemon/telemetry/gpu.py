"""NVIDIA GPUs, as `nvidia-smi` and /dev tell of them: the daemon's own process never asks CUDA."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 20.0  # without nvidia-persistenced the first question starts the driver, which takes its time
_QUERY = ("index", "name", "memory.used", "memory.total", "utilization.gpu", "driver_version")
_MIB = 1024 * 1024
_NVIDIA, _DISPLAY = "0x10de", "0x03"  # of /sys/bus/pci: vendor; class of display controllers


class GpuError(Exception):
    """There is a GPU, and it cannot be asked; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU; None: it does not tell."""

    index: str
    name: str
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    busy_share: float | None  # of the last second or less, 0 to 1
    driver: str


def find(devices: Path = Path("/dev")) -> list[Gpu]:
    """The GPUs of this machine; none, if it has no driver for one.

    Raises:
        GpuError: there are some, and they cannot be asked.
    """
    tool = shutil.which("nvidia-smi")
    if tool is None:
        if (devices / "nvidiactl").exists():
            raise GpuError("the driver is there, but not its command nvidia-smi")
        return []
    try:
        done = subprocess.run(
            [tool, f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GpuError(f"nvidia-smi gives no answer: {error}") from error
    if done.returncode:
        raise GpuError(" ".join((done.stdout + done.stderr).split())[:300] or f"nvidia-smi fails ({done.returncode})")
    return [parse(line) for line in done.stdout.splitlines() if line.strip()]


def parse(line: str) -> Gpu:
    """From a line of nvidia-smi; what it does not know it writes as [N/A] or the like.

    Raises:
        GpuError: it is no such line.
    """
    fields = [field.strip() for field in line.split(",")]
    if len(fields) != len(_QUERY):
        raise GpuError(f"nvidia-smi says {line.strip()!r}")
    index, name, used, total, busy, driver = fields
    return Gpu(
        index=index,
        name=name,
        memory_used_bytes=_scaled(used, _MIB),
        memory_total_bytes=_scaled(total, _MIB),
        busy_share=None if _scaled(busy, 1) is None else float(busy) / 100,
        driver=driver,
    )


def is_without_driver(pci: Path = Path("/sys/bus/pci/devices")) -> bool:
    """Is there an NVIDIA GPU in this machine that no driver has taken?"""
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
