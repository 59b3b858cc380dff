"""Checks of the memory that models need."""

from pathlib import Path

from daemon.config.settings import Settings
from daemon.config.toml import literal
from daemon.doctor.finding import OK, WARN, Findings, shown_bytes
from daemon.doctor.installation import Installation
from daemon.doctor.models import plans_in_use
from daemon.telemetry import gpu
from processors import contract, registry
from processors import memory as machine_memory

_MEMINFO = Path("/proc/meminfo")
_SWAPPED_SHARE = 0.5


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
    for _, recipe, plan in plans_in_use(settings):
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


def _has_gpu() -> bool:
    try:
        return bool(gpu.find())
    except gpu.GpuError:
        return False


def _meminfo() -> dict[str, int]:
    """/proc/meminfo, in bytes."""
    lines = (line.split() for line in _MEMINFO.read_text().splitlines())
    return {words[0].rstrip(":"): 1024 * int(words[1]) for words in lines if len(words) == 3}
