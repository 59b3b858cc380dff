"""The command that lists, fetches, converts and verifies models: `python -m processors.models_cli --models DIR …`.

The daemon's CLI runs it as a child (`inboxd models …`), as fetching may need torch, which the daemon never imports.
Whisper's weights are in DIR/whisper/NAME.pt, those of OCR in DIR/ocr/NAME.onnx, the voice encoder's in
DIR/speakers/NAME.pt, a vision-language model in DIR/vlm/ORG--NAME/; NAME.json beside each has its source and hash. With
--json, every line on stdout is one JSON object with the key "event": progress, model, done, error. Exit codes follow
sysexits(3): 64 unknown name, 65 damaged, 66 not stored, 69 no source or node reachable, 73 disk error.

With a cluster, `list` also shows what its nodes have, and --nodes has the other commands repeated on them.
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
from types import ModuleType
from typing import NoReturn

from processors import extras, parent
from processors.models import hub, storage
from processors.models.report import Report, megabytes
from processors.ocr import downloaded_models as ocr_models
from processors.vlm.options import VlmOptions
from processors.whisper.speakers import weights as voice_weights
from processors.whisper.weights import catalog, source

_DEFAULT_VLM_BYTES = 8_900_000_000  # of the default vision-language model
_INTERRUPTED = 128 + signal.SIGINT

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `inboxd models list | head` is no error
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the scratch folder is removed as well
    report = Report(options.json)
    if options.with_parent:
        parent.die_with_parent()
    code = _run(options, report)
    if options.cluster and (options.nodes or options.command == "list"):
        return max(code, _on_nodes(options, report))
    if options.nodes:
        return report.error("--nodes needs a cluster: set [cluster] address in config.toml.", os.EX_CONFIG)
    return code


def _run(options: argparse.Namespace, report: Report) -> int:
    try:
        return _COMMANDS[options.command](options, report)
    except storage.FetchError as error:
        return report.error(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        extra = "vlm" if hub.is_name(options.name or "") else "speech"
        return report.error(extras.why_missing(extra) or str(error), os.EX_UNAVAILABLE)
    except OSError as error:
        return report.error(_disk_message(error, options.models), os.EX_CANTCREAT)
    except KeyboardInterrupt:
        return report.error("Interrupted. Run the same command again to continue.", _INTERRUPTED)


# ---------------------------------------------------------------------------------------------- the commands


def _list(options: argparse.Namespace, report: Report) -> int:
    for name in catalog.CHECKPOINTS:
        path, record = source.find(name, options.models), source.present(name, options.models)
        also = "".join(f" (alias: {alias})" for alias, of in catalog.ALIASES.items() if of == name)
        about = f"{catalog.spoken_languages(name)}{also}"
        _list_model(report, name, about, catalog.download_bytes(name), path, record)
    for name in ocr_models.MODELS:
        path, record = ocr_models.find(name, options.models), ocr_models.present(name, options.models)
        _list_model(report, name, f"OCR: {ocr_models.purpose_of(name)}", None, path, record)
    name = voice_weights.NAME
    path, record = voice_weights.find(name, options.models), voice_weights.present(name, options.models)
    _list_model(report, name, "distinguishes speakers", voice_weights.WHEEL.size_bytes, path, record)
    for name in dict.fromkeys([VlmOptions().model, *hub.stored(options.models)]):
        path = hub.find(name, options.models)
        size = _DEFAULT_VLM_BYTES if name == VlmOptions().model else None
        _list_model(report, name, "images and PDF files", size, path, hub.present(name, options.models))
    return os.EX_OK


def _list_model(
    report: Report, name: str, about: str, download: int | None, path: Path | None, record: storage.Record | None
) -> None:
    size = record.bytes if record else download
    here = f"stored, from {record.source}" if record else "stored, source unknown"
    report.line(
        "model",
        f"{name:26} {megabytes(size) if size else '':>8}  {here if path else 'not downloaded'}; {about}",
        name=name,
        present=path is not None,
        path=path and str(path),
        bytes=record and record.bytes,
        source=record and record.source,
    )


def _on_nodes(options: argparse.Namespace, report: Report) -> int:
    """Run the command on the nodes of the cluster. As text, the list is one line for each node."""
    from processors.cluster import node_models

    is_list = options.command == "list" and not options.json
    arguments = ["--models", options.node_models or str(options.models), "--with-parent", options.command]
    arguments += ["--json"] * (options.json or is_list) + [options.name] * bool(options.name)
    stored: dict[str, list[str]] = {}

    def on_line(node: str, line: str, is_error: bool) -> None:
        if is_error or not is_list:
            report.relay(node, line, is_error)
            return
        model, names = json.loads(line), stored.setdefault(node, [])
        names += [model["name"]] * model["present"]

    code = node_models.run(options.cluster, options.token_file, arguments, on_line)
    for node, names in sorted(stored.items()):
        report.relay(node, f"stored there: {', '.join(names) or 'no models'}", False)
    return code


def _fetch(options: argparse.Namespace, report: Report) -> int:
    store = _store_of(options.name)
    if not store:
        return _unknown(options.name, report)
    fresh = store.present(options.name, options.models) is None
    record = store.fetch(
        options.name, options.models, lambda done, total, unit: report.progress(options.name, done, total, unit)
    )
    path = store.location(options.name, options.models)
    size = megabytes(record.bytes)
    text = f"{options.name}: {size} from {record.source}, in {path}"
    if not fresh:
        text = f"{options.name} is already stored: {path}"
    report.line("done", text, fetched=fresh, path=str(path), **asdict(record))
    return os.EX_OK


def _convert(options: argparse.Namespace, report: Report) -> int:
    if options.name not in catalog.NAMES:
        return _unknown(options.name, report)
    record = source.convert(
        options.name, options.source, options.models, lambda *done: report.progress(options.name, *done)
    )
    path = source.location(options.name, options.models)
    report.line("done", f"{options.name}: {megabytes(record.bytes)}, in {path}", path=str(path), **asdict(record))
    return os.EX_OK


def _verify(options: argparse.Namespace, report: Report) -> int:
    worst = os.EX_OK
    if options.name:
        store = _store_of(options.name)
        if not store:
            return _unknown(options.name, report)
        if not store.find(options.name, options.models):
            return report.error(
                f'{options.name} is not stored here. Run "inboxd models fetch {options.name}".', os.EX_NOINPUT
            )
    for name, path, good in _verdicts(options.models):
        if options.name and catalog.canonical(options.name) != catalog.canonical(name):
            continue
        report.line("model", f"{name:16} {_VERDICTS[good]}", name=name, path=str(path), good=good)
        worst = os.EX_DATAERR if good is False else worst
    return worst


_VERDICTS = {
    True: "ok",
    False: "DAMAGED: run `inboxd models remove NAME`, then `inboxd models fetch NAME`",
    None: "not checked: no checksum is known",
}


def _verdicts(models: Path) -> Iterator[tuple[str, Path, bool | None]]:
    """Yield the name and path of all stored weights, and whether they match their checksum (None: it is unknown)."""
    for path in sorted((models / "whisper").glob("*.pt")):
        name = path.name.removesuffix(".pt")
        record = storage.Record.read(storage.record_of(path))
        expected = record.sha256 if record else None
        if not expected and catalog.canonical(name) in catalog.CHECKPOINTS:
            expected = source.published_sha256(catalog.canonical(name))
        yield name, path, None if expected is None else storage.sha256_of(path) == expected
    for name in ocr_models.stored(models):
        record, path = ocr_models.present(name, models), ocr_models.location(name, models)
        yield name, path, None if record is None else storage.sha256_of(path) == record.sha256
    for name in voice_weights.stored(models):
        record, path = voice_weights.present(name, models), voice_weights.location(name, models)
        yield name, path, None if record is None else storage.sha256_of(path) == record.sha256
    for name in hub.stored(models):
        record, path = hub.present(name, models), hub.location(name, models)
        yield name, path, None if record is None else hub.sha256_of(path) == record.sha256


def _remove(options: argparse.Namespace, report: Report) -> int:
    store = _store_of(options.name)
    if not store:
        return _unknown(options.name, report)
    path = store.find(options.name, options.models)
    if path is None:
        report.line("done", f"{options.name} is not stored here.", name=options.name, removed=False)
        return os.EX_OK
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with contextlib.suppress(FileNotFoundError):
        (hub if store is hub else storage).record_of(path).unlink()
    report.line("done", f"Removed {options.name}.", name=options.name, removed=True)
    return os.EX_OK


_COMMANDS = {"list": _list, "fetch": _fetch, "convert": _convert, "verify": _verify, "remove": _remove}


def _store_of(name: str) -> ModuleType | None:
    """Return the module that stores weights of this name; None if the name is unknown."""
    if name in catalog.NAMES:
        return source
    if name in ocr_models.MODELS:
        return ocr_models
    if name == voice_weights.NAME:
        return voice_weights
    return hub if hub.is_name(name) else None


def _unknown(name: str, report: Report) -> int:
    return report.error(
        f"Unknown model {name!r}. Whisper's models: {', '.join(catalog.NAMES)}. "
        f"OCR's models: {', '.join(ocr_models.MODELS)}. The voice encoder: {voice_weights.NAME}. "
        "Name a vision-language model as its hub does: ORGANIZATION/NAME.",
        os.EX_USAGE,
    )


def _disk_message(error: OSError, models: Path) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return f"Not enough disk space in {models}. Free some space and try again."
    return f"Cannot use {models}: {error}. Correct its permissions, or set [paths] models in config.toml."


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"{message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="inboxd models", description="Manage the weights of models.")
    parser.add_argument("--models", type=Path, required=True, metavar="DIR", help=argparse.SUPPRESS)  # set by inboxd
    for name in ("--cluster", "--token-file", "--node-models"):  # so are these: [cluster] of config.toml
        parser.add_argument(name, default="", help=argparse.SUPPRESS)
    parser.add_argument("--with-parent", action="store_true", help=argparse.SUPPRESS)  # end when the far half does
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text, named in (
        ("list", "list the known models and those stored here", None),
        ("fetch", "download a model", 1),
        ("convert", "convert a model of faster-whisper: a folder with model.bin, or that file", 1),
        ("verify", "compare stored models with their checksums", "?"),
        ("remove", "delete a stored model", 1),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--json", action="store_true", help="print JSON lines, for scripts")
        command.set_defaults(name=None, nodes=False)
        if name in ("fetch", "verify", "remove"):
            command.add_argument("--nodes", action="store_true", help="also on the nodes of the cluster")
        if named == 1:
            command.add_argument("name", metavar="NAME")
        elif named:
            command.add_argument("name", metavar="NAME", nargs=named)
        if name == "convert":
            command.add_argument("source", metavar="FROM", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
