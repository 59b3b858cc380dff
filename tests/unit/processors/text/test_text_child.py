"""The process that reads a document, when a library or the disk fails."""

import errno
import json
from pathlib import Path

import pytest
from document_files import docx
from text_harness import work_of

from processors.contract import BadInput, Progress
from processors.text import child, formats, reader
from processors.text.limits import Limits

LIMITS = Limits(memory_bytes=10**9, cpu_seconds=20)


def _request(folder: Path) -> reader.Request:
    return {
        "source": str(folder / "x.txt"),
        "media_type": "text/plain",
        "outputs": str(folder),
        "memory_bytes": 10**9,
        "cpu_seconds": 20,
        "attachments": False,
    }


@pytest.mark.parametrize("error", [OSError("Invalid data stream"), TypeError("of a library"), KeyError("x")], ids=repr)
def test_unexpected_error_of_a_library_is_put_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(formats, "read", fail)
    answer = child._answer(_request(tmp_path))
    assert str(answer["bad_input"]).startswith("inboxd cannot read this document")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_disk_that_is_full_or_broken_is_no_fault_of_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
):
    monkeypatch.setattr(reader, "_run", lambda *_: reader.DISK_STATUS + code)
    with pytest.raises(OSError) as raised:  # noqa: PT011 - the number is compared
        reader.read(work_of(tmp_path, "x.txt", b"text"), LIMITS, Progress(lambda _: None), attachments=False)
    assert raised.value.errno == code


def test_full_disk_ends_the_process_with_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(formats, "read", fail)
    monkeypatch.setattr(json, "load", lambda _: _request(tmp_path))
    monkeypatch.setattr(Limits, "apply", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        child.main()
    assert ended.value.code == reader.DISK_STATUS + errno.ENOSPC


def test_document_is_read_by_the_process(tmp_path: Path):
    found = reader.read(work_of(tmp_path, "x.txt", b"text"), LIMITS, Progress(lambda _: None), attachments=False)
    assert found.beginning == "text"
    with pytest.raises(BadInput):
        reader.read(work_of(tmp_path, "y.docx", docx("x")[:-9]), LIMITS, Progress(lambda _: None), attachments=False)
