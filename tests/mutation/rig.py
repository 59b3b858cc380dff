"""Mutation testing: insert faults into the core, one at a time, and report those that no test detects.

`make mutants` samples mutants at random from the modules in `TESTS`. For each one it runs, in a copy of the tree, the
tests that should detect it, until one fails: first the unit tests that execute the changed code (a test that does
not execute it cannot detect it), then the rounds in `_LATER`, whose daemons are processes of their own.
The unit tests of code that runs on import are those of its module in `TESTS`. It appends each outcome to
.mutants/SEED.jsonl, one line per mutant, so an interrupted run resumes where it stopped. A module that has changed
since is sampled and tested again.

A loaded machine must not count as a detection. A failed test counts if it fails a second time. A round that takes too
long counts if it takes too long again, compared with the time that the unchanged code then needs.

Environment variables:

    INBOXD_MUTANTS=300               number of mutants
    INBOXD_SEED=1                    seed of the sample
    INBOXD_JOBS=2                    mutants tested at the same time
    INBOXD_MODULES=queue.store,…     only these modules
    INBOXD_ROUNDS=2                  only the first rounds: 1 is the unit tests, 2 adds the state machine
    INBOXD_AGAIN=1                   test the survivors again, after tests were written for them

docs/reliability.md, section "Mutation testing", describes how to record a run. The goal is to detect 90 %. For each
survivor, write a test of that kind of fault (not of that line), or record there why the mutant is equivalent.
"""

import ast
import collections
import hashlib
import json
import os
import queue
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mutate import Mutant, mutants

ROOT = Path(__file__).parents[2]
NOT_COPIED = {".git", ".venv", ".mutants", ".demo", ".hypothesis", "state", "inbox", "outbox"}  # at the top level
_STATE_MACHINE = "tests/reliability/test_state_machine.py -k lives"
_DAEMONS = (
    "tests/integration/test_life_cycle.py tests/integration/test_upkeep.py tests/reliability/test_lost_database.py"
)
_RIGS = (
    "tests/reliability/test_order.py tests/reliability/test_crash_points.py tests/reliability/test_injected_errors.py "
    "tests/reliability/test_full_disk.py -k 'not rig_detects'"
)
_UNIT = "tests/unit/daemon/{}.py"
_RECORDED = [
    f"tests/unit/daemon/{package}"
    for package in ("intake", "publishing", "server", "files", "scheduling", "recovery", "queue", "core")
]
_OF_THE_STORE = (
    "queue/test_store",
    "recovery/test_startup",
    "publishing/test_publisher",
    "publishing/test_group",
    "scheduling/test_dispatcher",
    "queue/test_reader",
)
TESTS = {  # module: its unit tests, which are run first
    "intake.scanner": ("intake/test_scanner", "intake/test_intake", "recovery/test_startup"),
    "intake.pending_files": (
        "intake/test_pending_files",
        "intake/test_intake",
        "intake/test_claimer",
        "intake/test_move_errors",
    ),
    "intake.prerequisites": ("intake/test_prerequisites", "intake/test_intake", "intake/test_foreign_options"),
    "intake.path_states": (
        "intake/test_path_states",
        "intake/test_pending_files",
        "intake/test_scanner",
        "intake/test_intake",
        "intake/test_claimer",
    ),
    "intake.claimer": ("intake/test_claimer", "intake/test_intake", "recovery/test_startup"),
    "intake.describer": ("intake/test_describer", "intake/test_intake", "intake/test_foreign_options"),
    "intake.settling": (
        "intake/test_settling",
        "intake/test_prerequisites",
        "intake/test_scanner",
        "intake/test_intake",
    ),
    "intake.ignored_names": ("intake/test_ignored_names", "intake/test_pending_files", "intake/test_scanner"),
    "intake.refused_files": ("intake/test_pending_files", "intake/test_intake", "intake/test_foreign_options"),
    "intake.submissions": ("intake/test_submissions", "files/test_incoming"),
    "intake.unsupported": ("intake/test_document_types", "scheduling/test_outcomes", "publishing/test_publisher"),
    "intake.move_errors": ("intake/test_move_errors", "intake/test_claimer", "intake/test_intake"),
    "intake.hasher": ("intake/test_hasher", "intake/test_intake"),
    "files.inbox": ("files/test_inbox", "files/test_taken", "intake/test_claimer", "recovery/test_startup"),
    "files.taken": ("files/test_taken", "files/test_originals", "intake/test_claimer", "recovery/test_startup"),
    "files.submitted": ("intake/test_submissions", "recovery/test_startup"),
    "files.outbox": ("files/test_outbox", "files/test_originals", "publishing/test_publisher", "recovery/test_startup"),
    "files.result_names": ("files/test_result_names", "files/test_outbox", "publishing/test_publisher"),
    "files.originals": ("files/test_originals", "recovery/test_startup"),
    "files.folders": ("files/test_folders", "files/test_originals", "recovery/test_startup"),
    "files.lock_files": ("files/test_folders", "recovery/test_startup"),
    "files.safe_folders": ("files/test_safe_folders", "files/test_folders", "files/test_inbox", "files/test_taken"),
    "files.incoming": ("files/test_incoming", "intake/test_submissions"),
    "files.reclaim": ("files/test_reclaim", "files/test_folders"),
    "files.disk_retry": (
        "files/test_disk_retry",
        "scheduling/test_dispatcher",
        "publishing/test_publisher",
        "scheduling/test_outcomes",
        "recovery/test_startup",
        "server/test_commands",
    ),
    "core.background": ("core/test_background", "publishing/test_publisher"),
    "core.durable": ("core/test_durable", "files/test_outbox", "recovery/test_startup"),
    "core.copies": ("core/test_copies", "files/test_outbox", "recovery/test_startup"),
    "core.regular_files": ("core/test_regular_files", "core/test_copies", "files/test_safe_folders"),
    "core.syncer": ("core/test_syncer", "intake/test_hasher"),
    "core.parallel": ("core/test_parallel", "publishing/test_group", "intake/test_claimer"),
    "publishing.group": ("publishing/test_group", "publishing/test_publisher"),
    "publishing.finished_attempt": ("publishing/test_group", "publishing/test_publisher", "scheduling/test_outcomes"),
    "publishing.original_changes": ("publishing/test_publisher", "publishing/test_group", "recovery/test_startup"),
    "publishing.preparation": ("publishing/test_publisher", "scheduling/test_dispatcher"),
    "publishing.job_retrier": ("publishing/test_publisher", "recovery/test_startup"),
    "publishing.completion": ("publishing/test_publisher", "publishing/test_group", "recovery/test_startup"),
    "publishing.failures": ("publishing/test_publisher", "recovery/test_startup", "scheduling/test_outcomes"),
    "publishing.publisher": ("publishing/test_publisher", "recovery/test_startup", "scheduling/test_dispatcher"),
    "recovery.startup": ("recovery/test_startup",),
    "recovery.unplaced": ("recovery/test_startup",),
    **{f"queue.{name}": _OF_THE_STORE for name in ("store", "history_import", "queries", "sql", "tables")},
    "scheduling.dispatcher": (
        "scheduling/test_dispatcher",
        "scheduling/test_outcomes",
        "publishing/test_publisher",
        "scheduling/test_pools",
        "scheduling/test_placement",
    ),
    "scheduling.outcomes": ("scheduling/test_outcomes", "scheduling/test_dispatcher", "publishing/test_publisher"),
    "scheduling.failed_attempts": ("scheduling/test_outcomes", "scheduling/test_dispatcher"),
    "scheduling.parked_jobs": ("scheduling/test_dispatcher", "scheduling/test_outcomes"),
    "scheduling.attempts": ("scheduling/test_outcomes", "scheduling/test_dispatcher"),
    "scheduling.duplicates": ("scheduling/test_duplicates", "scheduling/test_dispatcher"),
    "scheduling.retry": ("scheduling/test_retry", "scheduling/test_outcomes"),
    "scheduling.candidates": ("scheduling/test_dispatcher", "scheduling/test_duplicates", "scheduling/test_outcomes"),
    "server.backlog": ("server/test_loop", "server/test_mailbox"),
    "server.job_commands": ("server/test_commands", "publishing/test_publisher"),
    "server.commands": ("server/test_commands", "server/test_events", "scheduling/test_outcomes"),
}
_LATER = (_STATE_MACHINE, _DAEMONS, _RIGS)
TIME_FACTOR, TIME_EXTRA_SECONDS = 4, 15  # time limit of a mutant, relative to the time of the unchanged code


def main() -> int:
    count, seed = int(os.environ.get("INBOXD_MUTANTS", 300)), int(os.environ.get("INBOXD_SEED", 1))
    jobs = int(os.environ.get("INBOXD_JOBS", 2))
    report = ROOT / ".mutants" / f"{seed}.jsonl"
    report.parent.mkdir(exist_ok=True)
    known = {line["id"]: line for line in map(json.loads, report.read_text().splitlines())} if report.exists() else {}
    drawn = draw(os.environ.get("INBOXD_MODULES", ",".join(TESTS)).split(","), count, seed)
    again = bool(os.environ.get("INBOXD_AGAIN"))
    todo = [each for each in drawn if each.id not in known or again and known[each.id]["outcome"] == "survived"]
    shm = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="mutants-") as home,
        tempfile.TemporaryDirectory(prefix="mutants-", dir=shm) as memory,
        ThreadPoolExecutor(jobs) as pool,
    ):
        trees: queue.SimpleQueue[Tree] = queue.SimpleQueue()
        for number in range(jobs):
            trees.put(Tree(Path(home, str(number)), memory=Path(memory, str(number))))

        def record(tests: str) -> dict[str, Any]:
            tree = trees.get()
            try:
                return tree.record(tests)
            finally:
                trees.put(tree)

        recorded = pool.map(record, _RECORDED if todo else ())
        unit_tests = UnitTests({test: facts for each in recorded for test, facts in each.items()})
        limits: dict[str, float] = {}

        def try_one(mutant: Mutant) -> dict[str, Any]:
            tree = trees.get()
            try:
                return tree.try_mutant(mutant, unit_tests, limits)
            finally:
                trees.put(tree)

        with report.open("a") as lines:
            for done, future in enumerate(as_completed([pool.submit(try_one, each) for each in todo]), 1):
                line = future.result()
                known[line["id"]] = line
                lines.write(json.dumps(line, ensure_ascii=False) + "\n")
                lines.flush()
                print(f"{done}/{len(todo)} {line['outcome']}: {_shown(line)}", flush=True)
    _summarize([known[each.id] for each in drawn], seed)
    return 0


def draw(modules: list[str], count: int, seed: int) -> list[Mutant]:
    """Sample mutants at random from all modules. A change in one place of the code changes little of the sample."""
    sources = {path: (ROOT / path).read_bytes() for path in (f"daemon/{name.replace('.', '/')}.py" for name in modules)}
    found = [mutant for module, source in sources.items() for mutant in mutants(module, source)]
    found.sort(key=lambda each: _lot(seed, each))
    drawn = []
    for mutant in found:
        if len(drawn) == count:
            break
        if mutant.is_valid(sources[mutant.module]):
            drawn.append(mutant)
    print(f"{len(drawn)} of {len(found)} mutants, seed {seed}", flush=True)
    return drawn


def _lot(seed: int, mutant: Mutant) -> bytes:
    return hashlib.sha256(repr((seed, mutant.module, mutant.kind, mutant.before, mutant.after)).encode()).digest()


def unit_tests_of(module: str) -> str:
    """The arguments of pytest for the unit tests of a module."""
    name = module.removeprefix("daemon/").removesuffix(".py").replace("/", ".")
    return " ".join(_UNIT.format(each) for each in TESTS[name])


def later_rounds() -> tuple[str, ...]:
    """The arguments of the runs of pytest that follow the unit tests."""
    return _LATER[: int(os.environ.get("INBOXD_ROUNDS", 1 + len(_LATER))) - 1]


class UnitTests:
    """Which unit tests execute which lines; `recorded`: see `line_recorder`."""

    def __init__(self, recorded: dict[str, dict[str, Any]]):
        self._by_line: dict[str, set[str]] = collections.defaultdict(set)
        self._seconds = {test: facts["seconds"] for test, facts in recorded.items()}
        for test, facts in recorded.items():
            for line in facts["lines"]:
                self._by_line[line].add(test)

    def of(self, mutant: Mutant, source: bytes) -> list[str] | None:
        """The tests that execute the mutated code; those of its module and the fastest come first. None: it runs on
        import."""
        lines = lines_of(mutant, source)
        if lines is None:
            return None
        module = mutant.module.removeprefix("daemon/")
        found = set().union(*(self._by_line.get(f"{module}:{line}", ()) for line in lines))
        own = unit_tests_of(mutant.module).split()

        def place(test: str) -> tuple[int, float]:
            path = test.split("::")[0]
            return own.index(path) if path in own else len(own), self._seconds[test]

        return sorted(found, key=place)

    def limit(self, tests: list[str]) -> float:
        """The time limit for these tests, in seconds."""
        return TIME_FACTOR * sum(self._seconds[test] for test in tests) + TIME_EXTRA_SECONDS


def lines_of(mutant: Mutant, source: bytes) -> set[int] | None:
    """The lines of the statement that a mutant changes, for a compound statement those of its head; None: it runs on
    import."""
    first, last = mutant.line, mutant.line + mutant.before.count("\n")
    around = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.stmt) and node.lineno <= first and last <= (node.end_lineno or 0)
    ]
    innermost = around[-1]  # `walk` goes from the outside in
    is_function = [isinstance(node, ast.FunctionDef) for node in around]
    if not any(is_function[:-1]):
        return None
    body = getattr(innermost, "body", None)
    end = min(body[0].lineno - 1, innermost.end_lineno) if body else innermost.end_lineno
    return {*range(first, last + 1), *range(innermost.lineno, end + 1)}


class Tree:
    """A copy of the source tree, which contains one mutant at a time.

    `memory`: a folder on a file system in memory, where fsync costs nothing, for the unit tests.
    """

    def __init__(self, home: Path, *, memory: Path):
        self._root, self._tmp, self._cache, self._memory = home / "tree", home / "tmp", home / "cache", memory
        shutil.copytree(ROOT, self._root, ignore=_not_copied, symlinks=True)
        self._mark = {"INBOXD_MUTANT_TREE": str(self._root)}  # in the environment of all that a run starts
        self._server = PytestServer(self._root)

    def record(self, tests: str) -> dict[str, dict[str, Any]]:
        """Run unit tests on the unchanged code; return what `line_recorder` recorded."""
        path = self._root.parent / "recorded.json"
        status, output = self._run(f"--maxfail=20 -p line_recorder {tests}", 1800, record=path)
        if status != 0:  # recording takes time, and a few tests depend on it
            status, output = self._run(tests, 900, only_failed=True)
        if status != 0:
            sys.exit(f"The unchanged code does not pass its unit tests:\n{output}")
        found: dict[str, dict[str, Any]] = json.loads(path.read_text())
        return found

    def try_mutant(self, mutant: Mutant, unit_tests: UnitTests, limits: dict[str, float]) -> dict[str, Any]:
        """`limits`: the time limit of each round in seconds, filled in as rounds are needed."""
        began, outcome, killer = time.monotonic(), "survived", ""
        for tests in (self._unit_round(mutant, unit_tests, limits), *later_rounds()):
            if tests is None:  # no unit test executes it
                continue
            if tests not in limits:
                limits[tests] = self._measure(tests)
            outcome, killer = self._try_round(mutant, tests, limits)
            if outcome != "survived":
                break
        seconds = round(time.monotonic() - began, 1)
        return {"id": mutant.id, **asdict(mutant), "outcome": outcome, "killer": killer, "seconds": seconds}

    def _unit_round(self, mutant: Mutant, unit_tests: UnitTests, limits: dict[str, float]) -> str | None:
        """The arguments of pytest for the unit tests of a mutant; None: there are none."""
        tests = unit_tests.of(mutant, (self._root / mutant.module).read_bytes())
        if tests is None:
            return unit_tests_of(mutant.module)
        if not tests:
            return None
        listed = "\n".join(tests) + "\n"
        path = self._root.parent / f"tests-{hashlib.sha256(listed.encode()).hexdigest()[:16]}"
        path.write_text(listed)
        limits.setdefault(f"@{path}", unit_tests.limit(tests))
        return f"@{path}"

    def _try_round(self, mutant: Mutant, tests: str, limits: dict[str, float]) -> tuple[str, str]:
        """Return the outcome and the test that detects the mutant."""
        status, output = self._run_mutated(mutant, tests, limits[tests])
        if status is None:
            limits[tests] = self._measure(tests)  # the machine may be busier than it was
            status, output = self._run_mutated(mutant, tests, limits[tests])
        if status is None:
            return "timeout", tests[:200]
        failed = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
        if status == 0 or self._run_mutated(mutant, tests, limits[tests], only_failed=True)[0] == 0:
            return "survived", ""
        return "killed", (failed or [tests])[0][:200]

    def _measure(self, tests: str) -> float:
        """Run the tests on the unchanged code; return the time limit for a mutant in seconds."""
        for _ in range(2):
            began = time.monotonic()
            status, output = self._run(tests, 900)
            if status == 0:
                return TIME_FACTOR * (time.monotonic() - began) + TIME_EXTRA_SECONDS
        sys.exit(f"The unchanged code does not pass {tests}:\n{output}")

    def _run_mutated(
        self, mutant: Mutant, tests: str, limit_seconds: float, *, only_failed: bool = False
    ) -> tuple[int | None, str]:
        path = self._root / mutant.module
        source = path.read_bytes()
        try:
            self._write(path, mutant.apply(source))
            return self._run(tests, limit_seconds, only_failed=only_failed)
        finally:
            self._write(path, source)

    def _write(self, path: Path, source: bytes) -> None:
        path.write_bytes(source)
        for stale in (path.parent / "__pycache__").glob(
            f"{path.stem}.*.pyc"
        ):  # the mutant may have the same time and size
            stale.unlink()

    def _run(
        self, tests: str, limit_seconds: float, *, only_failed: bool = False, record: Path | None = None
    ) -> tuple[int | None, str]:
        """Run pytest; return its exit status (None if it exceeded the limit) and its output.

        only_failed: run the tests that failed in the last run.
        record: the file for `line_recorder`.
        """
        if not only_failed:
            shutil.rmtree(self._cache, ignore_errors=True)
        tmp, output = self._memory if tests not in _LATER else self._tmp, self._root.parent / "output"
        options = f"-x -q -o cache_dir={self._cache} --tb=no --basetemp={tmp}"
        arguments = [*options.split(), *shlex.split(tests), *(["--last-failed"] if only_failed else [])]
        status = self._server.run(arguments, output, limit_seconds, {**self._mark, "INBOXD_RECORD": str(record)})
        _end_all("=".join(*self._mark.items()))
        return status, output.read_text(errors="replace")


class PytestServer:
    """The process of `pytest_server` in a tree."""

    def __init__(self, root: Path):
        self._process = subprocess.Popen(
            [sys.executable, str(root / "tests" / "mutation" / "pytest_server.py")],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # `select` sees no line that is in a buffer
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout

    def run(self, arguments: list[str], output: Path, limit_seconds: float, environment: dict[str, str]) -> int | None:
        """Run pytest; return its exit status, or None if it exceeded the limit and was killed."""
        request = {"arguments": arguments, "output": str(output), "environment": environment}
        self._requests.write(json.dumps(request).encode() + b"\n")
        pid = int(self._replies.readline())
        has_ended = bool(select.select([self._replies], [], [], limit_seconds)[0])
        if not has_ended:
            os.kill(pid, signal.SIGKILL)
        status = int(self._replies.readline())
        return status if has_ended else None


def _not_copied(folder: str, names: list[str]) -> set[str]:
    return NOT_COPIED if Path(folder) == ROOT else {name for name in names if name == "__pycache__"}


def _end_all(mark: str) -> None:
    """Kill the daemons and workers that a run left behind; all of them have `mark` in their environment."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGKILL)
        except (OSError, ValueError):  # it has ended, or belongs to another user
            continue


def _shown(line: dict) -> str:
    before, after = (" ".join(line[name].split())[:90] for name in ("before", "after"))
    return f"{line['module']}:{line['line']} {line['kind']}: {before} -> {after}"


def _summarize(lines: list[dict], seed: int) -> None:
    """The figures for docs/reliability.md."""
    by_module = collections.defaultdict(collections.Counter)
    for line in lines:
        by_module[line["module"]][line["outcome"]] += 1
    print(f"\nSeed {seed}\n\n| module | mutants | detected | of these by a time limit |\n| --- | --- | --- | --- |")
    for module, counts in [*sorted(by_module.items()), ("all", sum(by_module.values(), collections.Counter()))]:
        total = counts.total()
        detected = f"{total - counts['survived']} ({1 - counts['survived'] / total:.0%})"
        print(f"| {module} | {total} | {detected} | {counts['timeout']} |")
    for line in lines:
        if line["outcome"] == "survived":
            print(f"survived: {_shown(line)}")


if __name__ == "__main__":
    sys.exit(main())
