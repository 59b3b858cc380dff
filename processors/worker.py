"""A worker process: `python -m processors.worker NAME` loads one processor, then serves batches until stdin closes.

It exchanges the JSON lines of `processors.protocol` on stdin and stdout. It first redirects stdout to stderr (the
daemon's log), so that nothing a library prints can corrupt a message. It makes every output durable (fsync) before it
reports it. The daemon decides about retries, deadlines and publishing.
"""

import atexit
import contextlib
import ctypes
import errno
import gc
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from processors import contract, device_errors, output_files, parent, protocol, registry
from processors.line_reader import LineReader
from processors.steps.runner import Steps, first_of

_LOOK = "See the log (journalctl -u inboxd)."
_TRACE_CHARACTERS = 3000
_STEP_SECONDS = 0.1  # between two looks for more jobs while steps run
_NO_FAULT_OF_THE_FILE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}


def main() -> None:
    parent.die_with_parent()
    messages_out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # from here on print() and C libraries write to stderr
    sys.stdout = sys.stderr
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    gc.disable()  # the modules imported now stay in memory
    processor = registry.find(sys.argv[1])
    with contextlib.suppress(ImportError):  # `load` raises it again
        processor.import_libraries()
    gc.freeze()
    gc.enable()
    Worker(processor, LineReader(sys.stdin.fileno()), messages_out).serve()
    _end()


def _end() -> NoReturn:
    """End the process as the interpreter does, except that it clears no modules: those of torch take 0.5 s."""
    atexit._run_exitfuncs()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)  # what C libraries wrote
    os._exit(0)


class Worker:
    """One processor, and the two pipes to the daemon."""

    def __init__(self, processor: type[contract.Processor], lines_in: LineReader, messages_out: BinaryIO):
        self._processor = processor()
        self._processor.poll_new_jobs = self._poll_new_jobs
        self._in = lines_in
        self._out = messages_out
        self._progress = contract.Progress(self._send)
        self._open: dict[str, contract.Work] = {}  # jobs without an outcome yet
        self._batches = 0  # that these jobs arrived in
        self._sending = threading.Lock()  # of `_out`: the thread of the steps sends, too
        self._steps = Steps(self._report, lambda error, work: _describe(error, [work]), self._progress)

    def serve(self) -> None:
        """Serve until stdin closes. A failed job raises nothing; a failed load is reported and ends the worker."""
        while (line := self._in.next(wait=True)) is not None:
            match protocol.decode(line):
                case protocol.Load() as load:
                    if not self._load(load):
                        return
                case protocol.Batch() as batch:
                    if not self._process(self._accept(batch)):
                        return
        self._steps.close()
        self._processor.unload()

    def _accept(self, batch: protocol.Batch) -> list[contract.Work]:
        """The jobs of a batch for the processor; of others the first result is saved, and their steps start."""
        self._batches += 1
        works = [work for fields in batch.works if (work := self._work(fields)) and not self._steps.resume(work)]
        self._open |= {work.job: work for work in works}
        return [first_of(work) for work in works]

    def _work(self, fields: dict[str, Any]) -> contract.Work | None:
        """Decode one job of a batch. If its options are invalid, report that and return None."""
        try:
            return protocol.work_from_wire(fields, type(self._processor).Recipe)
        except ValueError as error:
            logging.warning("job %s: invalid options: %s", fields["job"], error)
            self._send(
                protocol.WorkFailed(
                    job=fields["job"],
                    attempt=fields["attempt"],
                    kind=contract.FailureKind.BAD_INPUT,
                    message=f"The options of this file are not valid for the processor {self._processor.name}. {_LOOK}",
                    trace=protocol.cut(_trace(error)[-_TRACE_CHARACTERS:]),
                    is_its_own=True,
                )
            )
            return None

    def _poll_new_jobs(self) -> list[contract.Work]:
        """See `Processor.poll_new_jobs`."""
        works: list[contract.Work] = []
        while (line := self._in.next(wait=False)) is not None:
            batch = protocol.decode(line)
            assert isinstance(batch, protocol.Batch)  # after Load, there are batches only
            works += self._accept(batch)
        return works

    def _load(self, load: protocol.Load) -> bool:
        started = time.monotonic()
        try:
            options = type(self._processor).Options.model_validate(load.options)
            loaded = self._processor.load(options, Path(load.models), self._progress)
        except Exception as error:
            what = f"loading the processor {self._processor.name}"
            kind, message = _describe(error, what=what)
            logging.exception("%s could not be loaded", self._processor.name)
            self._send(protocol.LoadFailed(kind=kind, message=protocol.cut(message)))
            return False
        self._steps.use(loaded, Path(load.models))
        self._send(
            protocol.WorkerLoaded(
                engine=loaded.engine,
                model=loaded.model,
                device=loaded.device,
                seconds=time.monotonic() - started,
                takes_more_jobs=loaded.takes_more_jobs,
            )
        )
        return True

    def _process(self, works: list[contract.Work]) -> bool:
        """Process a batch, and the jobs that arrive while their steps run. False: this process can do no more work.
        BatchDone is then not sent, so that the daemon sends no other batch before the process exits."""
        can_go_on = self._process_now(works)
        while not self._steps.wait(_STEP_SECONDS):
            if can_go_on and (works := self._poll_new_jobs()):
                can_go_on = self._process_now(works)
        for _ in range(self._batches if can_go_on else 0):
            self._send(protocol.BatchDone())
        self._batches = 0
        return can_go_on

    def _process_now(self, works: list[contract.Work]) -> bool:
        """Process jobs; False: this process can do no more work."""
        if not works:
            return True
        try:
            for work, outcome in self._processor.process(works, self._progress):
                if isinstance(outcome, Exception) and device_errors.is_device_lost(outcome):
                    raise outcome
                work = self._open.pop(work.job)
                if work.then and isinstance(outcome, contract.Finished):
                    self._steps.start(work, outcome)
                else:
                    self._report(work, outcome)
        except Exception as error:
            self._fail_all(*_describe(error, self._open.values()), _trace(error))
            if device_errors.is_device_lost(error):
                logging.error("%s lost its device and exits", self._processor.name)
                return False
        self._fail_all(contract.FailureKind.ERROR, f"The processor {self._processor.name} returned no outcome.")
        return True

    def _report(self, work: contract.Work, outcome: contract.Outcome | Exception) -> None:
        if isinstance(outcome, Exception):
            self._fail(work, *_describe(outcome, [work]), _trace(outcome), is_its_own=True)
            return
        if isinstance(outcome, contract.Failed):
            self._fail(work, outcome.kind, outcome.message, is_its_own=bool(work.then))
            return
        try:
            line = protocol.encode(self._finished(work, outcome))
        except FileNotFoundError as error:
            message = f"The processor reported {error.filename}, but did not write it."
            self._fail(work, contract.FailureKind.ERROR, message)
            return
        except OSError as error:
            where = error.filename or "while saving the result"
            self._fail(work, contract.FailureKind.STORAGE, f"{error.strerror} ({where}).")
            return
        except (ValueError, TypeError, RecursionError) as error:
            self._fail(work, *_describe(error, [work]), _trace(error))
            return
        if len(line) > protocol.LINE_BYTES:
            self._fail(work, contract.FailureKind.ERROR, "The result's metadata exceeds 16 MB.")
            return
        self._write(line)

    def _finished(self, work: contract.Work, outcome: contract.Finished) -> protocol.WorkFinished:
        files = [output_files.finalize(work.outputs, name) for name in outcome.files]
        output_files.remove_others(work.outputs, outcome.files)
        return protocol.WorkFinished(
            job=work.job,
            attempt=work.attempt,
            files=files,
            excerpt=outcome.excerpt,
            review=protocol.gather_reasons(outcome.review),
            pages=outcome.pages,
            media_seconds=outcome.media_seconds,
            details=dict(outcome.details),
        )

    def _fail_all(self, kind: contract.FailureKind, message: str, trace: str = "") -> None:
        """Fail all jobs without an outcome."""
        for work in self._open.values():
            self._fail(work, kind, message, trace)
        self._open.clear()

    def _fail(
        self,
        work: contract.Work,
        kind: contract.FailureKind,
        message: str,
        trace: str = "",
        *,
        is_its_own: bool = False,
    ) -> None:
        self._send(
            protocol.WorkFailed(
                job=work.job,
                attempt=work.attempt,
                kind=kind,
                message=protocol.cut(message),
                trace=protocol.cut(trace[-_TRACE_CHARACTERS:]),  # the end names the error
                is_its_own=is_its_own,
            )
        )

    def _send(self, message: protocol.Message) -> None:
        self._write(protocol.encode(message))

    def _write(self, line: bytes) -> None:
        with self._sending:
            protocol.write(self._out, line)


def _describe(
    error: Exception, works: Iterable[contract.Work] = (), *, what: str = "processing this file"
) -> tuple[contract.FailureKind, str]:
    """Classify an exception raised while processing `works`, and describe it for users. They see the text of a
    `JobError`; that of any other exception goes to the log."""
    if isinstance(error, contract.JobError):
        return error.kind, str(error)
    if device_errors.is_out_of_memory(error):
        return contract.FailureKind.OUT_OF_MEMORY, "Not enough memory to process this file."
    if isinstance(error, OSError) and (error.errno in _NO_FAULT_OF_THE_FILE or _is_of_the_outbox(error, works)):
        return contract.FailureKind.STORAGE, f"{error.strerror} ({error.filename or 'while writing the result'})."
    if isinstance(error, OSError) and error.strerror and type(error).__module__ == "builtins":
        where = f" ({Path(str(error.filename)).name})" if error.filename else ""
        return contract.FailureKind.ERROR, f"Error while {what}: {error.strerror}{where}."
    if device_errors.is_device_lost(error):
        return contract.FailureKind.ERROR, f"The GPU reported an error. {_LOOK}"
    return contract.FailureKind.ERROR, f"Internal error while {what}. {_LOOK}"


def _trace(error: Exception) -> str:
    return "".join(traceback.format_exception(error))


def _is_of_the_outbox(error: OSError, works: Iterable[contract.Work]) -> bool:
    """True if the error concerns an output: only the daemon uses an attempt's folder, so no user's file is at fault."""
    path = str(error.filename or "")
    return error.errno in (errno.EACCES, errno.EPERM) and any(path.startswith(f"{work.outputs}/") for work in works)


if __name__ == "__main__":
    main()
