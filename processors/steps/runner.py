"""Runs the steps of jobs in a thread, one after another, while the worker goes on with its other jobs."""

import logging
import os
import queue
import re
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from processors.contract import (
    Failed,
    FailureKind,
    Finished,
    Kind,
    Loaded,
    Outcome,
    Progress,
    RecipeOptions,
    Step,
    Work,
    WorkProgress,
)
from processors.steps.child import ChildWorker
from processors.steps.combine import StepResult, combine, text_file
from processors.steps.saved import FIRST, SavedResults, step_name

_UNSAFE = re.compile(r"[^\w.-]+")  # in a recipe's name: not for the name of a file
_NAME_MAX = 255  # bytes, see pathconf(3)
_SUFFIX_BYTES = 30  # " (2).beancount" and the like
_FINAL = {FailureKind.BAD_INPUT}  # a retry would not help

log = logging.getLogger(__name__)


class _AnyOptions(RecipeOptions, extra="allow"):
    """The options of a recipe, which the process of its own processor validates."""


@dataclass(frozen=True, kw_only=True)
class _Chain:
    work: Work
    first: Finished
    saved: SavedResults


class Steps:
    """The steps of all jobs of a worker. `report`, called by the thread, gets the outcome of each job; `describe`
    classifies an unexpected exception."""

    def __init__(
        self,
        report: Callable[[Work, Outcome | Exception], None],
        describe: Callable[[Exception, Work], tuple[FailureKind, str]],
        progress: Progress,
    ):
        self._report, self._describe, self._progress = report, describe, progress
        self._models = ""
        self._made_by: dict[str, object] = {}
        self._chains: queue.SimpleQueue[_Chain | None] = queue.SimpleQueue()
        self._children: dict[str, ChildWorker] = {}  # by processor and options
        self._thread: threading.Thread | None = None
        self._is_idle = threading.Event()
        self._is_idle.set()
        self._open = 0  # chains without an outcome
        self._lock = threading.Lock()  # of `_open`

    def use(self, loaded: Loaded, models: Path) -> None:
        """Note how first results are made, and where the weights are."""
        self._made_by, self._models = asdict(loaded), str(models)

    def resume(self, work: Work) -> bool:
        """Start with the first result of an earlier attempt; False: there is none."""
        if not work.then:
            return False
        try:
            saved = SavedResults(work, self._made_by)
            first = saved.get(FIRST)
            if first is None:
                return False
            saved.copy(FIRST, first, work.outputs)
        except OSError as error:
            log.warning("job %s: its first result is made again: %s", work.job, error)
            return False
        self._add(_Chain(work=work, first=first, saved=saved))
        return True

    def start(self, work: Work, first: Finished) -> None:
        """Save the first result of a job, and start its steps."""
        try:
            saved = SavedResults(work, self._made_by)
        except OSError as error:
            self._report(work, error)
            return
        saved.save(FIRST, first, work.outputs)
        self._add(_Chain(work=work, first=first, saved=saved))

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds`; True once no step is left."""
        return self._is_idle.wait(seconds)

    def close(self) -> None:
        """End the thread and the children, which must be idle."""
        if self._thread is not None:
            self._chains.put(None)
            self._thread.join()

    def _add(self, chain: _Chain) -> None:
        with self._lock:
            self._open += 1
            self._is_idle.clear()
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="steps", daemon=True)
            self._thread.start()
        self._chains.put(chain)

    # ------------------------------------------------------------------------------------------ the thread

    def _serve(self) -> None:
        while (chain := self._chains.get()) is not None:
            try:
                outcome: Outcome | Exception = self._run(chain)
            except Exception as error:  # error boundary: one job
                outcome = error
            self._report(chain.work, outcome)
            with self._lock:
                self._open -= 1
                if not self._open:
                    self._is_idle.set()
        for child in self._children.values():
            child.close()

    def _run(self, chain: _Chain) -> Outcome:
        name = text_file(chain.first.files)
        source = chain.work.outputs / name if name else None
        results = [self._result(chain, step, source) for step in chain.work.then]
        chain.saved.close()
        return combine(chain.work, chain.first, results)

    def _result(self, chain: _Chain, step: Step, source: Path | None) -> StepResult:
        if step.why_not:
            return StepResult(step=step, failed=Failed(kind=FailureKind.UNAVAILABLE, message=step.why_not))
        if source is None:
            why = f'The first recipe wrote no text. Add "md" or "txt" to `formats` of "{chain.work.recipe}".'
            return StepResult(step=step, failed=Failed(kind=FailureKind.BAD_INPUT, message=why))
        if not any(map(str.isalnum, source.read_text("utf-8", errors="replace"))):
            return StepResult(step=step)
        name = step_name(step.recipe, asdict(step))
        try:
            finished = chain.saved.get(name) or self._attempt(chain, step, name, source)
            if isinstance(finished, StepResult):
                return finished
            copied = _in_outputs(chain, name, finished)
        except Exception as error:  # error boundary: one step
            log.exception("job %s: recipe %s", chain.work.job, step.recipe)
            self._forget_child(step)
            chain.saved.abandon(name)
            kind, message = self._describe(error, chain.work)
            return StepResult(step=step, failed=Failed(kind=kind, message=message), may_succeed_later=True)
        made_by = {key: copied.details.get(key) for key in ("engine", "model", "device", "seconds")}
        details = copied.details["details"]
        assert isinstance(details, dict)
        return StepResult(step=step, finished=replace(copied, details=details), made_by=made_by)

    def _attempt(self, chain: _Chain, step: Step, name: str, source: Path) -> Finished | StepResult:
        """Run a step and save its result, with what made it as `details`."""
        folder, was_interrupted = chain.saved.start(name)
        if was_interrupted and chain.work.is_last_attempt:
            chain.saved.abandon(name)
            why = "The worker ended while it ran. See the log (journalctl -u inboxd)."
            return StepResult(step=step, failed=Failed(kind=FailureKind.CRASHED, message=why))
        started = time.monotonic()
        work = _work_of(chain.work, step, source, folder)
        log.info("job %s: recipe %s", work.job, step.recipe)
        child = self._child(step)
        outcome = child.run(work, lambda progress: self._pulse(chain.work, step, progress))
        if isinstance(outcome, Failed):
            chain.saved.abandon(name)
            log.warning("job %s: recipe %s failed: %s", work.job, step.recipe, outcome.message)
            return StepResult(step=step, failed=outcome, may_succeed_later=outcome.kind not in _FINAL)
        assert child.loaded is not None
        finished = Finished(
            files=tuple(file["name"] for file in outcome.files),
            excerpt=outcome.excerpt,
            review=tuple(map(str, outcome.review)),
            details={
                **{key: getattr(child.loaded, key) for key in ("engine", "model", "device")},
                "seconds": round(time.monotonic() - started, 3),
                "details": outcome.details,
            },
        )
        chain.saved.complete(name, finished, folder)
        return finished

    def _child(self, step: Step) -> ChildWorker:
        """The process for a step: one for each processor and its options."""
        child = self._children.get(_child_key(step))
        if child is None or not child.is_alive:
            self._forget_child(step)
            child = self._children[_child_key(step)] = ChildWorker(step, self._models)
        return child

    def _forget_child(self, step: Step) -> None:
        if child := self._children.pop(_child_key(step), None):
            child.kill()

    def _pulse(self, work: Work, step: Step, progress: WorkProgress | None) -> None:
        if progress is None or progress.job is None:
            self._progress.job(work, 0.0, None, f"steps ({step.recipe})")
        else:
            self._progress.job(work, progress.done, progress.total, f"{progress.unit} ({step.recipe})")


def _child_key(step: Step) -> str:
    return step_name(step.processor, {"options": step.options, "python": step.python})


def _work_of(work: Work, step: Step, source: Path, outputs: Path) -> Work:
    """The work of a step: the text of the first result as a file."""
    return replace(
        work,
        source=source,
        kind=Kind.TEXT,
        media_type="text/plain",
        outputs=outputs,
        stem=step_stem(work.stem, step.recipe),
        recipe=step.recipe,
        options=_AnyOptions.model_validate(step.recipe_options),
        sidecars={name: path for name, path in work.sidecars.items() if name == "prompt" and step.wants_prompt},
        checkpoints=work.checkpoints and work.checkpoints / f"of-{step_name(step.recipe, asdict(step))}",
        then=(),
    )


def step_stem(stem: str, recipe: str) -> str:
    """The beginning of the names of a step's outputs. A long name of a recipe is cut: there must be room for a suffix.

    stem: that of the first result.
    """
    room = max(1, _NAME_MAX - _SUFFIX_BYTES - len(os.fsencode(f"{stem}.")))
    return f"{stem}.{_UNSAFE.sub('-', recipe).encode()[:room].decode(errors='ignore')}"


def _in_outputs(chain: _Chain, name: str, finished: Finished) -> Finished:
    """The result with its files in the outputs of the job, under names that are free there."""
    outputs, files = chain.work.outputs, []
    with_folder = outputs / ".step"
    try:
        chain.saved.copy(name, finished, with_folder)
        for file in finished.files:
            target, number = outputs / file, 1
            while target.exists():
                number += 1
                target = (outputs / file).with_stem(f"{Path(file).stem} ({number})")
            target.parent.mkdir(parents=True, exist_ok=True)
            (with_folder / file).rename(target)
            files.append(str(target.relative_to(outputs)))
    finally:
        shutil.rmtree(with_folder, ignore_errors=True)
    return replace(finished, files=tuple(files))


def first_of(work: Work) -> Work:
    """The work of the first recipe, whose checkpoints are apart from those of the steps."""
    if not work.then:
        return work
    taken = "prompt" if any(step.wants_prompt for step in work.then) else None
    return replace(
        work,
        checkpoints=work.checkpoints and work.checkpoints / "first",
        sidecars={name: path for name, path in work.sidecars.items() if name != taken},
    )
