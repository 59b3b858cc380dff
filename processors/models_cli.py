"""The command that lists, fetches, converts and verifies models: `python -m processors.models_cli --models DIR …`.

The daemon's CLI runs it as a child (`inboxd models …`), as fetching may need torch, which the daemon never imports.
Whisper's weights lie in DIR/whisper/NAME.pt, a vision-language model in DIR/vlm/ORG--NAME/; NAME.json beside each says
where it came from and its hash. With --json every line on stdout is one JSON object with the key "event": progress,
model, done, error. Exit codes follow sysexits(3): 64 unknown name, 65 damaged, 69 no source answers, 73 disk.
"""

import argparse
import contextlib
import errno
import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from processors.models import hub, storage
from processors.whisper.weights import catalogue, source

_NEWS_SHARE = 0.1  # off a terminal: a line each time this much more has come
_NEWS_BYTES = 50_000_000  # the same where the whole is unknown
_INTERRUPTED = 128 + signal.SIGINT

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    asked = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `inboxd models list | head` is no error
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the scratch folder is removed then, too
    report = Report(asked.json)
    try:
        return _COMMANDS[asked.command](asked, report)
    except storage.FetchError as error:
        return report.error(str(error), error.exit_code)
    except OSError as error:
        return report.error(_disk_message(error, asked.models), os.EX_CANTCREAT)
    except KeyboardInterrupt:
        return report.error("Interrupted; nothing was left half-done. The same command begins again.", _INTERRUPTED)


class Report:
    """What the command says: to a person, or as JSON lines."""

    def __init__(self, as_json: bool):
        self._as_json = as_json
        self._rewrites = sys.stderr.isatty()
        self._told: float | None = None  # bytes at the last line about progress

    def progress(self, name: str, done: float, total: float | None, unit: str) -> None:
        if self._as_json:
            self._object("progress", name=name, done=done, total=total, unit=unit)
            return
        step = total * _NEWS_SHARE if total else _NEWS_BYTES
        is_last = total is not None and done >= total
        if self._rewrites or self._told is None or done - self._told >= step or (is_last and self._told < done):
            self._told = done
            share = f"{_megabytes(done)} of {_megabytes(total)} ({done / total:.0%})" if total else _megabytes(done)
            sys.stderr.write(f"\r{name}: {share}\x1b[K" if self._rewrites else f"{name}: {share}\n")
            sys.stderr.flush()

    def say(self, event: str, text: str, **fields: Any) -> None:
        """One line about something done or found."""
        self._end_rewriting()
        if self._as_json:
            self._object(event, **fields)
        else:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    def error(self, message: str, exit_code: int) -> int:
        self._end_rewriting()
        if self._as_json:
            self._object("error", message=message, exit_code=exit_code)
        else:
            sys.stderr.write(f"{message}\n")
        return exit_code

    def _object(self, event: str, **fields: Any) -> None:
        sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
        sys.stdout.flush()

    def _end_rewriting(self) -> None:
        if self._rewrites and self._told is not None:
            sys.stderr.write("\n")
            self._told = None


# ---------------------------------------------------------------------------------------------- the commands


def _list(asked: argparse.Namespace, report: Report) -> int:
    for name in catalogue.CHECKPOINTS:
        path, record = source.find(name, asked.models), source.present(name, asked.models)
        also = "".join(f" (also called {alias})" for alias, of in catalogue.ALIASES.items() if of == name)
        _say_model(report, name, also, path, record)
    for name in hub.stored(asked.models):
        _say_model(report, name, "", hub.location(name, asked.models), hub.present(name, asked.models))
    return os.EX_OK


def _say_model(report: Report, name: str, also: str, path: Path | None, record: storage.Record | None) -> None:
    here = f"{_megabytes(record.bytes)}, from {record.source}" if record else "no record of its source"
    report.say(
        "model",
        f"{name:16} {here if path else '-'}{also}",
        name=name,
        present=path is not None,
        path=path and str(path),
        bytes=record and record.bytes,
        source=record and record.source,
    )


def _fetch(asked: argparse.Namespace, report: Report) -> int:
    store = _store_of(asked.name)
    if not store:
        return _unknown(asked.name, report)
    fresh = store.present(asked.name, asked.models) is None
    record = store.fetch(
        asked.name, asked.models, lambda done, total, unit: report.progress(asked.name, done, total, unit)
    )
    path = store.location(asked.name, asked.models)
    size = _megabytes(record.bytes)
    text = f"{asked.name}: {size} from {record.source}, in {path}"
    if not fresh:
        text = f"{asked.name} is there already: {path}"
    report.say("done", text, fetched=fresh, path=str(path), **asdict(record))
    return os.EX_OK


def _convert(asked: argparse.Namespace, report: Report) -> int:
    if asked.name not in catalogue.NAMES:
        return _unknown(asked.name, report)
    record = source.convert(asked.name, asked.source, asked.models, lambda *done: report.progress(asked.name, *done))
    path = source.location(asked.name, asked.models)
    report.say("done", f"{asked.name}: {_megabytes(record.bytes)}, in {path}", path=str(path), **asdict(record))
    return os.EX_OK


def _verify(asked: argparse.Namespace, report: Report) -> int:
    worst = os.EX_OK
    if asked.name:
        store = _store_of(asked.name)
        if not store:
            return _unknown(asked.name, report)
        if not store.find(asked.name, asked.models):
            return report.error(f'{asked.name} is not here. Run "inboxd models fetch {asked.name}".', os.EX_NOINPUT)
    for name, path, good in _verdicts(asked.models):
        if asked.name and catalogue.canonical(asked.name) != catalogue.canonical(name):
            continue
        report.say("model", f"{name:16} {_VERDICTS[good]}", name=name, path=str(path), good=good)
        worst = os.EX_DATAERR if good is False else worst
    return worst


_VERDICTS = {True: "as recorded", False: "DAMAGED: remove it and fetch it again", None: "no record to compare with"}


def _verdicts(models: Path) -> Iterator[tuple[str, Path, bool | None]]:
    """Of all that is stored: is it what its record says? None: nothing to compare with."""
    for path in sorted((models / "whisper").glob("*.pt")):
        name = path.name.removesuffix(".pt")
        record = storage.Record.read(source.record_of(path))
        expected = record.sha256 if record else None
        if not expected and catalogue.canonical(name) in catalogue.CHECKPOINTS:
            expected = source.published_sha256(catalogue.canonical(name))
        yield name, path, None if expected is None else storage.sha256_of(path) == expected
    for name in hub.stored(models):
        record, path = hub.present(name, models), hub.location(name, models)
        yield name, path, None if record is None else hub.sha256_of(path) == record.sha256


def _remove(asked: argparse.Namespace, report: Report) -> int:
    store = _store_of(asked.name)
    if not store:
        return _unknown(asked.name, report)
    path = store.find(asked.name, asked.models)
    if path is None:
        report.say("done", f"{asked.name} is not there.", name=asked.name, removed=False)
        return os.EX_OK
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with contextlib.suppress(FileNotFoundError):
        store.record_of(path).unlink()
    report.say("done", f"{asked.name} was removed.", name=asked.name, removed=True)
    return os.EX_OK


_COMMANDS = {"list": _list, "fetch": _fetch, "convert": _convert, "verify": _verify, "remove": _remove}


def _store_of(name: str) -> Any:
    """The module that keeps the weights of this name (`weights` or `hub`); None: no such name."""
    if name in catalogue.NAMES:
        return source
    return hub if hub.is_name(name) else None


def _unknown(name: str, report: Report) -> int:
    return report.error(
        f"There is no model {name!r}. Whisper's are {', '.join(catalogue.NAMES)}; "
        "a vision-language model is named as on its hub: ORGANISATION/NAME.",
        os.EX_USAGE,
    )


def _disk_message(error: OSError, models: Path) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return f"There is no room for this in {models}: free some and try again. Nothing was left half-done."
    return f"{models} cannot be used: {error}. Correct its permissions, or choose another with [paths] in config.toml."


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.0f} MB"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"{message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="inboxd models", description="The models that inboxd's processors compute with.")
    parser.add_argument("--models", type=Path, required=True, metavar="DIR", help=argparse.SUPPRESS)  # inboxd's
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text, named in (
        ("list", "what there is, and what is here", None),
        ("fetch", "download one", 1),
        ("convert", "make one of faster-whisper's: a folder with model.bin, or that file", 1),
        ("verify", "hash what is here and compare", "?"),
        ("remove", "delete one", 1),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--json", action="store_true", help="JSON lines on stdout")
        if named == 1:
            command.add_argument("name", metavar="NAME")
        elif named:
            command.add_argument("name", metavar="NAME", nargs=named)
        if name == "convert":
            command.add_argument("source", metavar="FROM", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
