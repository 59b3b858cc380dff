"""Who may import whom: read from the code, so that the order cannot be broken unnoticed."""

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from paths import ROOT

DAEMON = {  # by module: "store", "doctor.finding"
    ".".join(path.relative_to(ROOT / "daemon").with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "daemon").rglob("*.py"))
}

# A package imports from the packages above its own, never from one below it.
PACKAGES = (
    "core",
    "config",
    "queue",
    "workers",
    "files",
    "telemetry",
    "notify",
    "intake",
    "publishing",
    "scheduling",
    "recovery",
    "results",
    "search",
    "server",
    "install",
    "doctor",
    "web",
    "cli",
)
OWNERS = {  # the only modules that may import it
    "sqlalchemy": {"queue.history_import", "queue.database", "queue.queries", "queue.store", "queue.tables"},
    "watchdog": {"intake.watcher"},
    "subprocess": {
        "workers.cluster_watch",
        "workers.launcher",
        "install.system_commands",
        "notify.hook_calls",
        "results.corrections",
        "search.child",
        "telemetry.gpu",
        "doctor.installation",
        "doctor.gpus",
    },
    "apscheduler": {"server.timetable"},
    "typer": {
        "cli.main",
        "cli.options",
        "cli.plain_help",
        "cli.run",
        "cli.jobs",
        "cli.service",
        "cli.maintenance",
        "cli.models",
        "cli.layouts",
        "cli.init",
        "cli.manpage",
        "cli.correct",
        "cli.search",
        "cli.submit",
        "cli.web",
    },
    "uvicorn": {"web.server"},
    "python_multipart": {"web.forms"},
    "prometheus_client": {"telemetry.metrics"},
}


@functools.cache
def _imports(path: Path) -> frozenset[str]:
    """The modules a file imports anywhere, not counting those for type checkers only."""
    found = set()
    for node in ast.walk(_without_type_checking(ast.parse(path.read_text()))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def _without_type_checking(tree: ast.Module) -> ast.Module:
    tree.body = [
        node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    ]
    return tree


def _package(module: str) -> str:
    return module.split(".")[0]


def _module(name: str, known: dict[str, Path]) -> str | None:
    """The module that an imported name means: "store.Store" is "store"."""
    parts = name.split(".")
    return next((found for length in range(len(parts), 0, -1) if (found := ".".join(parts[:length])) in known), None)


@functools.cache
def _edges(root: str) -> Mapping[str, set[str]]:
    """For each module below `root`, the modules there that it imports, also within functions. A package's own name
    stands for its `__init__`."""
    known = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted((ROOT / root).rglob("*.py"))
    }
    return {
        module: {_module(name, known) for name in _imports(path)} - {None, module} for module, path in known.items()
    }


def _without_ends(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """The nodes and edges that remain when all nodes without successors are removed repeatedly: the circles."""
    left = dict(edges)
    while ends := [node for node, others in left.items() if not others & left.keys()]:
        for node in ends:
            del left[node]
    return {node: others & left.keys() for node, others in left.items()}


def test_order_names_each_package_of_the_daemon():
    folders = {path.name for path in (ROOT / "daemon").iterdir() if (path / "__init__.py").exists()}
    assert folders == set(PACKAGES)


def test_each_package_imports_only_from_the_packages_above_it():
    wrong = {}
    for module in DAEMON.keys() - {"__init__"}:
        imported = {
            _package(name.removeprefix("daemon.")) for name in _imports(DAEMON[module]) if name.startswith("daemon.")
        }
        own = PACKAGES.index(_package(module))
        wrong[module] = {other for other in imported & set(PACKAGES) if PACKAGES.index(other) > own}
    assert {module: others for module, others in wrong.items() if others} == {}


@pytest.mark.parametrize("root", ["daemon", "processors"])
def test_modules_import_one_another_in_no_circle(root: str):
    """A package's `__init__` may gather what its own modules offer."""
    edges = {
        module: {other for other in others if not module.startswith(f"{other}.")}
        for module, others in _edges(root).items()
    }
    assert _without_ends(edges) == {}


@pytest.mark.parametrize(
    "root", ["daemon/web", "processors", "processors/statements", "processors/vlm", "processors/whisper"]
)
def test_packages_beside_one_another_import_one_another_in_no_circle(root: str):
    prefix = f"{root.replace('/', '.')}."
    edges: dict[str, set[str]] = {}
    for module, others in _edges(root.split("/")[0]).items():
        if module.startswith(prefix):
            own = module.removeprefix(prefix).split(".")[0]
            beside = {other.removeprefix(prefix).split(".")[0] for other in others if other.startswith(prefix)}
            edges.setdefault(own, set()).update(beside - {own})
    assert _without_ends(edges) == {}


def test_each_library_is_imported_by_its_owners_only():
    wrong = {}
    for module, path in DAEMON.items():
        imported = {name.split(".")[0] for name in _imports(path)}
        wrong[module] = {library for library in imported & OWNERS.keys() if module not in OWNERS[library]}
    assert {module: libraries for module, libraries in wrong.items() if libraries} == {}


def test_processors_never_import_the_daemon():
    for path in (ROOT / "processors").rglob("*.py"):
        wrong = {name for name in _imports(path) if name.split(".")[0] == "daemon"}
        assert not wrong, path


def test_whispers_decoder_knows_nothing_of_files_and_jobs():
    leaves = ("processors.device_errors", "processors.malloc")
    for path in (ROOT / "processors" / "whisper" / "decoder").rglob("*.py"):
        own = {name for name in _imports(path) if name.split(".")[0] == "processors"}
        assert all(name.startswith(("processors.whisper.decoder", *leaves)) for name in own), path


def test_optional_engines_are_imported_by_their_one_module():
    owners = {
        "faster_whisper": {"processors/whisper/engines/faster_whisper.py"},
        "ray": {"processors/cluster/ray_link.py"},
    }
    for path in (ROOT / "processors").rglob("*.py"):
        imported = {name.split(".")[0] for name in _imports(path)}
        wrong = {name for name in imported & owners.keys() if str(path.relative_to(ROOT)) not in owners[name]}
        assert not wrong, path


def test_few_types_are_any():
    """Write `object` for a value that is only passed on, and a `TypedDict` or a model for a known shape."""
    paths = (path for folder in ("daemon", "processors") for path in (ROOT / folder).rglob("*.py"))
    lines = [line for path in paths for line in path.read_text().splitlines() if re.search(r"\bAny\b", line)]
    assert len(lines) < 100, "\n".join(lines)


def test_every_daemon_module_loads_in_a_fresh_interpreter_without_an_engine():
    names = ", ".join(f"daemon.{module}" for module in DAEMON if module != "__init__")
    engines = ("torch", "transformers", "whisper", "rapidocr", "onnxruntime", "cv2", "av", "PIL", "pypdfium2", "numpy")
    engines += ("ray",)
    code = f"import {names}, sys; from processors import registry; [registry.find(name) for name in registry.known()];"
    code += f"print([name for name in {engines} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_names_of_test_modules_are_unique():
    """pytest imports test modules by their name alone."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def _modules_of(code: str) -> set[str]:
    """The modules that a fresh interpreter has imported after `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules, file=sys.stderr)"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def _within(packages: set[str], modules: set[str]) -> set[str]:
    """Those of `modules` that belong to one of `packages`."""
    return {module for module in modules if any(f"{module}.".startswith(f"{package}.") for package in packages)}


def test_command_starts_without_what_others_need():
    """`inboxd --help`, and each completion of a word in a shell, wait for these imports."""
    command = "import contextlib, sys; from daemon.cli.main import main; sys.argv = ['inboxd', '--help']"
    imported = _modules_of(f"{command}\nwith contextlib.suppress(SystemExit): main()")
    assert "daemon.cli.service" in imported
    unneeded = {"apscheduler", "asyncio", "jinja2", "numpy", "sqlalchemy", "starlette", "watchdog"}
    unneeded |= {"daemon.doctor", "daemon.install", "daemon.results", "daemon.search", "daemon.web"}
    unneeded |= {f"processors.{name}" for name in ("ocr", "pages", "statements", "text", "vlm", "whisper")}
    assert _within(unneeded, imported) == set()


def test_first_worker_starts_before_the_job_log_and_the_terminal_are_imported(tmp_path: Path):
    """They take as long as what the worker of `inboxd process` imports meanwhile."""
    code = f"""
import contextlib, sys
from daemon.cli.main import main
from daemon.workers.launcher import Launcher

def start(*_): raise SystemExit

Launcher.start_early = start
sys.argv = ["inboxd", "process", "samples/inbox/bank/statement.pdf", "--output", {str(tmp_path)!r}]
with contextlib.suppress(SystemExit): main()"""
    imported = _modules_of(code)
    assert "daemon.server.first_worker" in imported and _within({"rich", "sqlalchemy"}, imported) == set()


def test_daemon_starts_without_what_workers_and_other_processes_need():
    """Each takes memory as long as the daemon runs: the libraries of terminals and of `inboxd web`, and the code with
    which workers read files."""
    start = "from daemon.cli import main; from daemon.server import service; from daemon import config; from pathlib "
    imported = _modules_of(f"{start} import Path; config.parse({{}}, source=None, home=Path.cwd())")
    assert {"daemon.server.service", "processors.vlm.options", "processors.ocr.options"} <= imported
    unneeded = {"jinja2", "rich", "starlette", "uvicorn", "yaml", "daemon.results", "daemon.web"}
    unneeded |= {
        "processors.ocr.file_reader",
        "processors.pages",
        "processors.whisper.audio",
        "processors.vlm.document",
    }
    unneeded |= {f"processors.statements.{name}" for name in ("account", "checks", "receipts", "table", "records")}
    assert _within(unneeded, imported) == set()
