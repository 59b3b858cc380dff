"""NVIDIA GPUs, as seen by `nvidia-smi` and /dev: the daemon's own process never uses CUDA."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 20.0  # without nvidia-persistenced the first query starts the driver, which is slow
_QUERY = ("index", "name", "memory.used", "memory.total", "utilization.gpu", "driver_version")
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


def find(devices: Path = Path("/dev")) -> list[Gpu]:
    """The GPUs of this machine; none without a driver.

    Raises:
        GpuError: there are GPUs that cannot be queried.
    """
    tool = shutil.which("nvidia-smi")
    if tool is None:
        if (devices / "nvidiactl").exists():
            raise GpuError("the NVIDIA driver is installed, but its command nvidia-smi is missing")
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
        raise GpuError(f"nvidia-smi does not answer: {error}") from error
    if done.returncode:
        raise GpuError(" ".join((done.stdout + done.stderr).split())[:300] or f"nvidia-smi failed ({done.returncode})")
    return [parse(line) for line in done.stdout.splitlines() if line.strip()]


def parse(line: str) -> Gpu:
    """Parse a line of nvidia-smi, which writes unknown values as [N/A] or similar.

    Raises:
        GpuError: it is not such a line.
    """
    fields = [field.strip() for field in line.split(",")]
    if len(fields) != len(_QUERY):
        raise GpuError(f"unexpected output of nvidia-smi: {line.strip()!r}")
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
