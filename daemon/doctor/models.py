"""What `inboxd doctor` says of the models, and of the memory and the GPU they are to run on.

Whether torch sees a GPU is asked in a child process, through the interpreter of the workers: nothing here imports it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from daemon.config.settings import Recipe, Settings
from daemon.doctor.finding import FAIL, OK, WARN, Findings, shown_bytes
from daemon.doctor.installation import Installation, as_user
from daemon.intake.overrides import options_of
from daemon.telemetry import gpu
from daemon.workers import memory as machine_memory
from processors import contract, registry

_TORCH_SECONDS = 90.0  # its first import, from a slow disk
_MEMINFO = Path("/proc/meminfo")
_SWAPPED_SHARE = 0.5
_ASK_TORCH = """
import json, torch
found = {"version": torch.__version__, "built_for": torch.version.cuda or torch.version.hip, "gpu": ""}
try:
    found["gpu"] = torch.cuda.get_device_name(0)
except Exception as error:
    found["why"] = str(error).splitlines()[0]
print(json.dumps(found))
"""


def models(settings: Settings, installation: Installation | None) -> Findings:
    """Each recipe that is bound to a folder: can it run now?"""
    for name, recipe, plan in _plans(settings):
        match plan:
            case contract.Missing():
                yield FAIL, f"{name} cannot run, so its files wait: {plan.why}", _fix(plan.why)
            case contract.Instead():
                yield (
                    WARN,
                    f"{name} is done by {plan.processor} instead of {recipe.processor}: {plan.why}",
                    _fix(plan.why),
                )
            case _ if name_of_weights := recipe.cls.weights_to_fetch(recipe.options, settings.models):
                yield _fetching(name, name_of_weights, installation)
            case _:
                model = getattr(recipe.options, "model", "")
                yield OK, f"{name} can run: {recipe.processor}{f', {model}' if model else ''}", ""


def _fetching(name: str, weights: str, installation: Installation | None) -> tuple[str, str, str]:
    """The weights are not here, and would be downloaded with the first file."""
    fix, user = f"inboxd models fetch {weights}", installation.user if installation else None
    if installation and not installation.place.is_for_user and "PrivateNetwork=no" not in installation.drop_ins:
        fix = f"sudo -u {user.pw_name} {fix}" if user else fix
        return FAIL, f"{name} cannot run: the weights {weights} are not here, and the service has no network", fix
    return WARN, f"{name} can run; with the first file, the weights {weights} are downloaded", fix


def _plans(settings: Settings) -> Iterator[tuple[str, Recipe, contract.Plan]]:
    """The bound recipes, with the options of the folders they are bound to."""
    seen = set()
    for folder_name, folder in sorted(settings.folders.items()):
        for name in sorted(folder.recipes.values()):
            recipe = settings.recipes[name]
            own = {
                key: value for key, value in folder.options.items() if key in type(recipe.recipe_options).model_fields
            }
            if (name, repr(own)) in seen:
                continue
            seen.add((name, repr(own)))
            plan = recipe.cls.plan(recipe.options, options_of(recipe, own), settings.models)
            yield f"{name} (in {folder_name})" if own and folder_name else name, recipe, plan


def _fix(why: str) -> str:
    """The command that a plan's own words name, if they do."""
    start = why.find("inboxd models fetch")
    if start < 0:
        return "See `inboxd models`, and docs/settings.md for the recipe's processor."
    return " ".join(why[start:].split()[:4]).strip(".,;`'\"")


def memory(settings: Settings, _: Installation | None) -> Findings:
    """Do the models fit: each into its own limit, those loaded at the same time into the machine?"""
    total, facts = machine_memory.total_bytes(), _meminfo()
    available, swap = facts.get("MemAvailable", total), facts.get("SwapTotal", 0)
    used_swap = swap - facts.get("SwapFree", swap)
    found = f"{shown_bytes(total)}, {shown_bytes(available)} of it free; swap {shown_bytes(swap) if swap else 'none'}"
    if swap and used_swap > swap * _SWAPPED_SHARE and available < total / 10:
        yield WARN, f"{found}, {shown_bytes(used_swap)} in use", "See who takes it: ps aux --sort=-rss | head"
    else:
        yield OK, found, ""
    needs = _needs(settings)
    for processor, (needed, limit, limit_words) in sorted(needs.items()):
        if needed > limit:
            found = f"{processor} needs about {shown_bytes(needed)}, and memory_max allows {limit_words}"
            yield WARN, found, f"Raise memory_max in [processors.{processor}], or choose a smaller model."
    at_once = sorted((needed for needed, *_ in needs.values()), reverse=True)[: settings.workers.at_once]
    if sum(at_once) > min(total, settings.workers.memory_bytes) and len(at_once) > 1 and not settings.workers.memory:
        found = f"models at the same time need about {shown_bytes(sum(at_once))} of {shown_bytes(total)}"
        yield WARN, found, "Set [workers] memory to what there is, or at_once = 1."
    if at_once and max(at_once) > settings.workers.memory_bytes:
        found = (
            f"[workers] memory = {settings.workers.memory!r} is less than one model needs ({shown_bytes(max(at_once))})"
        )
        yield WARN, found, "Raise it, or choose a smaller model."


def _needs(settings: Settings) -> dict[str, tuple[int, int, str]]:
    """By processor: what its largest model needs, its limit in bytes, and in words. Of models on the CPU."""
    has_gpu = _has_gpu()
    needs: dict[str, tuple[int, int, str]] = {}
    for _, recipe, plan in _plans(settings):
        if isinstance(plan, contract.Missing):
            continue
        instead = isinstance(plan, contract.Instead)
        processor = plan.processor if instead else recipe.processor
        options = settings.on(processor) if instead else recipe.options
        if has_gpu and getattr(options, "device", "cpu") != "cpu":
            continue
        needed = registry.find(processor).memory_needed(options, settings.models)
        if needed >= needs.get(processor, (0,))[0]:
            needs[processor] = needed, machine_memory.limit_bytes(options.memory_max), options.memory_max
    return needs


def gpus(settings: Settings, installation: Installation | None) -> Findings:
    """Is there one, may the service use it, and can the torch of the workers?"""
    wanted = [recipe for _, recipe, _ in _plans(settings) if getattr(recipe.options, "device", "cpu") != "cpu"]
    insisted = sorted({recipe.name for recipe in wanted if str(recipe.options.device).startswith("cuda")})
    try:
        found = gpu.find()
    except gpu.GpuError as error:
        yield FAIL, str(error), "Reinstall the driver, or restart the machine after its upgrade; see: nvidia-smi"
        return
    if not found and gpu.is_without_driver():
        yield (
            WARN,
            "there is an NVIDIA GPU, but no driver has taken it",
            "Install NVIDIA's driver; without it the CPU works.",
        )
    elif not found and not insisted:
        yield OK, "no NVIDIA GPU: the CPU does the work", ""
    if not found and insisted:
        yield FAIL, f"{', '.join(insisted)} insist on a GPU, and none is here", 'Set device = "auto" for them.'
        return
    for each in found:
        used, total = each.memory_used_bytes, each.memory_total_bytes
        room = f", {shown_bytes(used)} of {shown_bytes(total)} in use" if used is not None and total is not None else ""
        yield OK, f"{each.index}: {each.name}, driver {each.driver}{room}", ""
    if found:
        yield from _devices(installation)
    if found and wanted:
        yield from _torch({recipe.options.python or sys.executable for recipe in wanted})


def _devices(installation: Installation | None) -> Findings:
    user = installation.user if installation else None
    names = [path.name for path in sorted(Path("/dev").glob("nvidia*")) if not path.is_dir()]
    closed = as_user(user, lambda: [name for name in names if not os.access(f"/dev/{name}", os.R_OK | os.W_OK)])
    if closed:
        fix = "SupplementaryGroups=video in a drop-in, or the group of: ls -l /dev/nvidia*"
        yield FAIL, f"the service's user may not use {', '.join(closed)}", fix
    if "nvidia-uvm" not in names:
        yield (
            WARN,
            "/dev/nvidia-uvm is not there, which CUDA needs",
            "modprobe nvidia-uvm, or start nvidia-persistenced",
        )
    if installation and not installation.place.is_for_user and "char-nvidia" not in installation.drop_ins:
        yield FAIL, "the service does not see the GPU (PrivateDevices=)", "inboxd install puts gpu.conf in its place"


def _torch(pythons: set[str]) -> Findings:
    for python in sorted(pythons):
        try:
            done = subprocess.run([python, "-c", _ASK_TORCH], capture_output=True, text=True, timeout=_TORCH_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            yield WARN, f"the torch of {python} cannot be asked: {error}", "Is that interpreter the right one?"
            continue
        if done.returncode:
            why = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
            yield FAIL, f"{python} has no torch that works: {why}", f"{python} -m pip install torch"
            continue
        told = json.loads(done.stdout.strip().splitlines()[-1])
        if told["gpu"]:
            yield OK, f"torch {told['version']} (CUDA {told['built_for']}) sees {told['gpu']}", ""
        elif told["built_for"]:
            fix = "A driver that is too old? Compare nvidia-smi's CUDA Version with torch's."
            yield FAIL, f"torch {told['version']} (CUDA {told['built_for']}) sees no GPU: {told['why']}", fix
        else:
            fix = f"{python} -m pip install --force-reinstall torch, from the index of CUDA builds"
            yield WARN, f"torch {told['version']} is built without CUDA: the GPU idles, the CPU works", fix


def _has_gpu() -> bool:
    try:
        return bool(gpu.find())
    except gpu.GpuError:
        return False


def _meminfo() -> dict[str, int]:
    """/proc/meminfo, in bytes."""
    lines = (line.split() for line in _MEMINFO.read_text().splitlines())
    return {words[0].rstrip(":"): 1024 * int(words[1]) for words in lines if len(words) == 3}
