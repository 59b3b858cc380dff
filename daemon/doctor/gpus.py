"""Checks of the GPUs: their driver, the service's access to them, and the torch of the workers.

A child process, with the workers' interpreter, tests whether torch sees a GPU: nothing here imports torch.
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

from daemon.config.settings import Settings
from daemon.config.toml import key_literal
from daemon.doctor.finding import FAIL, OK, WARN, Findings, shown_bytes
from daemon.doctor.installation import Installation, as_user
from daemon.doctor.models import plans_in_use
from daemon.scheduling import devices
from daemon.telemetry import gpu

_TORCH_SECONDS = 90.0  # its first import, from a slow disk
_TORCH_PROGRAM = """
import json, torch
found = {"version": torch.__version__, "built_for": torch.version.cuda or torch.version.hip, "gpu": ""}
try:
    found["gpu"] = torch.cuda.get_device_name(0)
except Exception as error:
    found["why"] = str(error).splitlines()[0]
print(json.dumps(found))
"""


def gpus(settings: Settings, installation: Installation | None) -> Findings:
    """Check that a GPU exists, and that the service and the torch of the workers can use it."""
    wanted = [recipe for _, recipe, _ in plans_in_use(settings) if getattr(recipe.options, "device", "cpu") != "cpu"]
    named = {recipe.name: str(getattr(recipe.options, "device", "")) for recipe in wanted}
    require_gpu = sorted(name for name, device in named.items() if device.startswith("cuda"))
    try:
        found = gpu.find()
    except gpu.GpuError as error:
        yield FAIL, str(error), "Run nvidia-smi; reinstall the driver, or restart the machine after a driver upgrade."
        return
    if not found and gpu.is_without_driver():
        yield (
            WARN,
            "there is an NVIDIA GPU, but no driver for it",
            "Install NVIDIA's driver; until then, models run on the CPU.",
        )
    elif not found and not require_gpu:
        yield OK, "no NVIDIA GPU: models run on the CPU", ""
    if not found and require_gpu:
        yield (
            FAIL,
            f"there is no GPU, which these recipes require: {', '.join(require_gpu)}",
            'Set device = "auto" for them.',
        )
        return
    yield from _configured(settings)
    for each in found:
        used, total = each.memory_used_bytes, each.memory_total_bytes
        room = f", {shown_bytes(used)} of {shown_bytes(total)} in use" if used is not None and total is not None else ""
        yield OK, f"{each.index}: {each.name}, driver {each.driver}{room}", ""
    if found:
        yield from _devices(installation)
    if found and wanted:
        yield from _torch({recipe.options.python or sys.executable for recipe in wanted})


def _configured(settings: Settings) -> Findings:
    """Check the GPUs that config.toml names, and report the limits of each where there are several."""
    try:
        found = gpu.find_usable()
    except gpu.GpuError as error:
        yield FAIL, str(error), "Run nvidia-smi -L."
        return
    for name in devices.unknown(settings.devices, found):
        yield (
            FAIL,
            f"[devices.{key_literal(name)}] of config.toml: nvidia-smi shows no such GPU",
            "Compare its `uuid` or its number with the output of nvidia-smi -L.",
        )
    gpus = [each for each in devices.choose(settings.devices, settings.workers, found) if each.kind == "gpu"]
    for each in gpus if len(gpus) > 1 else ():
        memory = shown_bytes(each.memory_bytes) if math.isfinite(each.memory_bytes) else "unlimited memory"
        yield OK, f"{each.name} is {each.model} ({each.uuid}): at most {each.at_once} models in {memory}", ""


def _devices(installation: Installation | None) -> Findings:
    user = installation.user if installation else None
    names = [path.name for path in sorted(Path("/dev").glob("nvidia*")) if not path.is_dir()]
    closed = as_user(user, lambda: [name for name in names if not os.access(f"/dev/{name}", os.R_OK | os.W_OK)])
    if closed:
        fix = "Add SupplementaryGroups= with the group that `ls -l /dev/nvidia*` shows (often video) in a drop-in."
        yield FAIL, f"the service's user may not use {', '.join(closed)}", fix
    if "nvidia-uvm" not in names:
        yield (
            WARN,
            "/dev/nvidia-uvm does not exist, and CUDA needs it",
            "modprobe nvidia-uvm, or start nvidia-persistenced",
        )
    if installation and not installation.paths.is_for_user and "char-nvidia" not in installation.drop_ins:
        yield FAIL, "the service cannot see the GPU (PrivateDevices=)", "sudo inboxd install, which adds gpu.conf"


def _torch(pythons: set[str]) -> Findings:
    for python in sorted(pythons):
        try:
            done = subprocess.run(
                [python, "-c", _TORCH_PROGRAM], capture_output=True, text=True, timeout=_TORCH_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            yield WARN, f"cannot run the torch of {python}: {error}", "Correct the option `python` of the processors."
            continue
        if done.returncode:
            why = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
            yield FAIL, f"{python} has no working torch: {why}", f"{python} -m pip install torch"
            continue
        torch = json.loads(done.stdout.strip().splitlines()[-1])
        if torch["gpu"]:
            yield OK, f"torch {torch['version']} (CUDA {torch['built_for']}) sees {torch['gpu']}", ""
        elif torch["built_for"]:
            fix = "Compare nvidia-smi's CUDA Version with torch's: the driver may be too old."
            yield FAIL, f"torch {torch['version']} (CUDA {torch['built_for']}) sees no GPU: {torch['why']}", fix
        else:
            fix = (
                f"Install a CUDA build: {python} -m pip install --force-reinstall torch (from the index of CUDA builds)"
            )
            yield WARN, f"torch {torch['version']} is built without CUDA, so models run on the CPU", fix
