"""Checks of the models, and of the memory and the GPU that they run on.

A child process, with the workers' interpreter, tests whether torch sees a GPU: nothing here imports torch.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from daemon.config.settings import Recipe, Settings
from daemon.config.toml import key_literal, literal
from daemon.doctor.finding import FAIL, OK, WARN, Findings, shown_bytes
from daemon.doctor.installation import Installation, as_user
from daemon.intake.overrides import options_of
from daemon.scheduling import devices
from daemon.telemetry import gpu
from daemon.workers import memory as machine_memory
from processors import contract, registry
from processors.ocr import downloaded_models

_TORCH_SECONDS = 90.0  # its first import, from a slow disk
_MEMINFO = Path("/proc/meminfo")
_SWAPPED_SHARE = 0.5
_TORCH_PROGRAM = """
import json, torch
found = {"version": torch.__version__, "built_for": torch.version.cuda or torch.version.hip, "gpu": ""}
try:
    found["gpu"] = torch.cuda.get_device_name(0)
except Exception as error:
    found["why"] = str(error).splitlines()[0]
print(json.dumps(found))
"""


def models(settings: Settings, installation: Installation | None) -> Findings:
    """Check that each recipe in use can run now."""
    for name, recipe, plan in _plans(settings):
        match plan:
            case contract.NotReady():
                verdict = WARN if plan.lacks_extra else FAIL
                yield verdict, f"{name} cannot run, so its files wait: {plan.why}", _fix(plan.why)
            case contract.Substitute():
                yield OK, f"{name} uses {plan.processor} instead of {recipe.processor}: {plan.why}", ""
            case _ if name_of_weights := recipe.cls.weights_to_fetch(recipe.options, settings.models):
                yield _fetching(name, name_of_weights, installation)
            case _:
                model = getattr(recipe.options, "model", "")
                yield OK, f"{name} can run: {recipe.processor}{f', {model}' if model else ''}", ""


def scripts(settings: Settings, _: Installation | None) -> Findings:
    """Report which scripts OCR reads, and check that the models of the requested languages are stored."""
    recipes = [options_of(recipe, {}) for _, recipe, plan in _plans(settings) if _uses_ocr(recipe, plan)]
    if not recipes:
        return
    stored = downloaded_models.stored(settings.models)
    found = f"the built-in model reads {downloaded_models.BUILT_IN}"
    if stored:
        found += f"; stored models: {', '.join(map(_model, stored))}"
    others = [name for name in downloaded_models.MODELS if name not in stored]
    found += f"; not stored: {', '.join(map(_model, others))}" if others else ""
    yield OK, found, ""
    wanted = [language for options in recipes for language in getattr(options, "languages", ())]
    for name in dict.fromkeys(downloaded_models.LANGUAGES[language] for language in wanted):
        if name not in stored:
            yield FAIL, f"a recipe requires {_model(name)}, which is not stored", f"inboxd models fetch {name}"


def _uses_ocr(recipe: Recipe, plan: contract.Plan) -> bool:
    processor = plan.processor if isinstance(plan, contract.Substitute) else recipe.processor
    return processor in ("ocr", "text")  # `text` reads attachments


def _model(name: str) -> str:
    return f"{name} ({', '.join(downloaded_models.languages_of(name))})"


def _fetching(name: str, weights: str, installation: Installation | None) -> tuple[str, str, str]:
    """A finding about weights that are missing and would be downloaded with the first file."""
    fix, user = f"inboxd models fetch {weights}", installation.user if installation else None
    if installation and not installation.paths.is_for_user and "PrivateNetwork=no" not in installation.drop_ins:
        fix = f"sudo -u {user.pw_name} {fix}" if user else fix
        return FAIL, f"{name} cannot run: the weights {weights} are missing, and the service has no network", fix
    return WARN, f"{name} can run, but will download the weights {weights} for the first file", fix


def _plans(settings: Settings) -> Iterator[tuple[str, Recipe, contract.Plan]]:
    """The recipes in use, with the options of the folders that use them."""
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
    """The command that the reason names, if it names one."""
    if (run := why.find("Run: ")) >= 0:  # the end of the sentence, and of the reason
        return why[run + len("Run: ") :]
    start = why.find("inboxd models fetch")
    if start < 0:
        return "See docs/settings.md for the options of the recipe's processor."
    return " ".join(why[start:].split()[:4]).strip(".,;`'\"")


def memory(settings: Settings, _: Installation | None) -> Findings:
    """Check that each model fits its own limit, and that all together fit the machine."""
    total, facts = machine_memory.total_bytes(), _meminfo()
    available, swap = facts.get("MemAvailable", total), facts.get("SwapTotal", 0)
    used_swap = swap - facts.get("SwapFree", swap)
    found = f"{shown_bytes(total)}, {shown_bytes(available)} free; swap: {shown_bytes(swap) if swap else 'none'}"
    if swap and used_swap > swap * _SWAPPED_SHARE and available < total / 10:
        yield WARN, f"{found}, {shown_bytes(used_swap)} in use", "Find the largest processes: ps aux --sort=-rss | head"
    else:
        yield OK, found, ""
    needs = _needs(settings)
    for processor, (needed, limit, limit_words) in sorted(needs.items()):
        if needed > limit:
            found = f"{processor} needs about {shown_bytes(needed)}, and memory_max allows {limit_words}"
            yield WARN, found, f"Raise memory_max in [processors.{processor}], or choose a smaller model."
    at_once = sorted((needed for needed, *_ in needs.values()), reverse=True)[: settings.workers.at_once]
    if sum(at_once) > min(total, settings.workers.memory_bytes) and len(at_once) > 1 and not settings.workers.memory:
        found = f"the models loaded at the same time need about {shown_bytes(sum(at_once))} of {shown_bytes(total)}"
        yield WARN, found, "Set [workers] memory to the available amount, or at_once = 1."
    if at_once and max(at_once) > settings.workers.memory_bytes:
        least = shown_bytes(max(at_once))
        found = f"[workers] memory = {literal(settings.workers.memory)} is less than one model needs ({least})"
        yield WARN, found, "Raise it, or choose a smaller model."


def _needs(settings: Settings) -> dict[str, tuple[int, int, str]]:
    """By processor, for models on the CPU: the memory of its largest model, its limit in bytes, and in words."""
    has_gpu = _has_gpu()
    needs: dict[str, tuple[int, int, str]] = {}
    for _, recipe, plan in _plans(settings):
        if isinstance(plan, contract.NotReady):
            continue
        processor, options = recipe.processor, recipe.options
        if isinstance(plan, contract.Substitute):
            processor, options = plan.processor, settings.on(plan.processor)
        if has_gpu and getattr(options, "device", "cpu") != "cpu":
            continue
        needed = registry.find(processor).memory_needed(options, settings.models)
        if needed >= needs.get(processor, (0,))[0]:
            needs[processor] = needed, machine_memory.limit_bytes(options.memory_max), options.memory_max
    return needs


def gpus(settings: Settings, installation: Installation | None) -> Findings:
    """Check that a GPU exists, and that the service and the torch of the workers can use it."""
    wanted = [recipe for _, recipe, _ in _plans(settings) if getattr(recipe.options, "device", "cpu") != "cpu"]
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


def _has_gpu() -> bool:
    try:
        return bool(gpu.find())
    except gpu.GpuError:
        return False


def _meminfo() -> dict[str, int]:
    """/proc/meminfo, in bytes."""
    lines = (line.split() for line in _MEMINFO.read_text().splitlines())
    return {words[0].rstrip(":"): 1024 * int(words[1]) for words in lines if len(words) == 3}
