"""Who may import whom: read from the code, so that the order cannot be broken unnoticed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DAEMON = {  # by module: "store", "doctor.finding"
    ".".join(path.relative_to(ROOT / "daemon").with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "daemon").rglob("*.py"))
}

# A module may import from the layers above its own, never from its own or a lower one.
LAYERS = (
    {
        "__init__",
        "console",
        "doctor",
        "telemetry",
        "errors",
        "model",
        "durable",
        "names",
        "toml",
        "schema",
        "memory",
        "hearing",
        "hours",
        "unit",
        "settling",
    }
    | {"telemetry.histogram", "telemetry.gpu", "doctor.finding"},
    {"diagnosis"},
    {"backup", "tables", "validation", "beneath", "background", "mailbox"},
    {"database", "config", "conversation", "documents", "journal"},
    {
        "install",
        "store",
        "watcher",
        "inbox",
        "outbox",
        "retry",
        "workers",
        "timetable",
        "control",
        "sdnotify",
        "kinds",
    }
    | {"result", "joblog", "gate"},
    {"cursor"},
    {"folders", "nearby", "obstacles", "hooks", "unplaced", "telemetry.totals", "doctor.installation"},
    {"storage", "rebuild", "retention", "telemetry.metrics", "doctor.machine", "doctor.premises", "doctor.standing"},
    {"publishing", "intake", "audit", "stages", "telemetry.exporter", "doctor.examination"},
    {"duplicates", "scheduling"},
    {"offers"},
    {"dispatch", "recovery"},
    {"commands"},
    {"service"},
    {"oneshot", "console.terminal"},
    {"console.views", "console.completion"},
    {"console.watch"},
    {"cli"},
    {"manual"},
)
OWNERS = {  # the only modules that may import it
    "sqlalchemy": {"database", "store"},
    "watchdog": {"watcher"},
    "subprocess": {"workers", "install", "hooks", "telemetry.gpu", "doctor.installation", "doctor.machine"},
    "apscheduler": {"timetable"},
    "typer": {"cli", "manual"},
    "prometheus_client": {"telemetry.metrics"},
}


def _imports(path: Path) -> set[str]:
    """The modules a file imports anywhere, not counting those for type checkers only."""
    found = set()
    for node in ast.walk(_without_type_checking(ast.parse(path.read_text()))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _without_type_checking(tree: ast.Module) -> ast.Module:
    tree.body = [
        node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    ]
    return tree


def _layer(module: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if module in layer)


def _module(name: str) -> str | None:
    """The module of the daemon that is meant by an imported name: "daemon.store.Store" is "store"."""
    parts = name.split(".")[1:] if name.startswith("daemon.") else []
    return next((found for length in range(len(parts), 0, -1) if (found := ".".join(parts[:length])) in DAEMON), None)


@pytest.mark.parametrize("module", DAEMON)
def test_daemon_module_imports_only_from_layers_above(module: str):
    imported = {_module(name) for name in _imports(DAEMON[module])} - {None}
    wrong = {other for other in imported if _layer(other) >= _layer(module)}
    assert not wrong, f"{DAEMON[module]} may not import {wrong}"


@pytest.mark.parametrize("module", DAEMON)
def test_each_library_is_imported_by_its_one_owner(module: str):
    imported = {name.split(".")[0] for name in _imports(DAEMON[module])}
    wrong = {library for library in imported & OWNERS.keys() if module not in OWNERS[library]}
    assert not wrong, f"{DAEMON[module]} may not import {wrong}"


def test_processors_never_import_the_daemon():
    for path in (ROOT / "processors").rglob("*.py"):
        wrong = {name for name in _imports(path) if name.split(".")[0] == "daemon"}
        assert not wrong, path


def test_whispers_decoder_knows_nothing_of_files_and_jobs():
    for path in (ROOT / "processors" / "whisper" / "decoder").rglob("*.py"):
        own = {name for name in _imports(path) if name.split(".")[0] == "processors"}
        assert all(name.startswith("processors.whisper.decoder") for name in own), path


def test_optional_engines_are_imported_by_their_one_module():
    owners = {"faster_whisper": {"processors/whisper/faster.py"}}
    for path in (ROOT / "processors").rglob("*.py"):
        imported = {name.split(".")[0] for name in _imports(path)}
        wrong = {name for name in imported & owners.keys() if str(path.relative_to(ROOT)) not in owners[name]}
        assert not wrong, path


def test_every_daemon_module_loads_in_a_fresh_interpreter_without_an_engine():
    names = ", ".join(f"daemon.{module}" for module in DAEMON if module != "__init__")
    engines = (
        "('torch', 'transformers', 'whisper', 'rapidocr', 'onnxruntime', 'cv2', 'av', 'PIL', 'pypdfium2', 'numpy')"
    )
    code = f"import {names}, sys; from processors import base; [base.find(name) for name in base.known()];"
    code += f"print([name for name in {engines} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
