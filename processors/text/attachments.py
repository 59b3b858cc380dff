"""The attachments of an email message, read as further documents: images and PDF files as by the recipe `read`, others
as their own kind of text."""

import codecs
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from processors.contract import BadInput, Kind, Progress, Unavailable, Work
from processors.text import office, reader
from processors.text.limits import Limits

if TYPE_CHECKING:
    from processors.ocr import Ocr

_MAX_READ = 30  # attachments of one message
_MAX_BYTES = 100_000_000  # of one attachment
_NAMED = 10  # in the review
_SAMPLE_BYTES = 4096
_LEAST_SIDE = 32  # pixels; a smaller picture is a rule, a bullet or a web beacon
_OLE = b"\xd0\xcf\x11\xe0"
_OF_OLE = {
    ".doc": "application/msword",
    ".xls": "application/vnd.ms-excel",
    ".ppt": "application/vnd.ms-powerpoint",
    ".msg": "application/vnd.ms-outlook",
}
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
_NO_CONTROLS = bytes([*b"\t\n\v\f\r\x1a\x1b", *range(32, 127), *range(128, 256)])
_OTHER_NAMES = {"application/rtf": "text/rtf", "application/xhtml+xml": "text/html", "application/json": "text/plain"}
_NO_TEXT = "no text was found"


@dataclass
class Attachments:
    """What was found in them."""

    sections: list[str] = field(default_factory=list)  # Markdown, one for each that has text
    review: list[str] = field(default_factory=list)


class AttachmentReader:
    """Reads attachments. OCR is loaded when a page needs it."""

    def __init__(self, models: Path, limits: Limits, progress: Progress):
        self._models, self._limits, self._progress = models, limits, progress

    @cached_property
    def _ocr(self) -> "Ocr":
        from processors.ocr import Ocr, OcrOptions

        ocr = Ocr()
        ocr.load(OcrOptions(), self._models, self._progress)
        return ocr

    def read(self, work: Work, paths: Sequence[str], names: Sequence[str], progress: Progress) -> Attachments:
        """Read the files `paths`, relative to the job's outputs. `names`: of all attachments, written or not."""
        found, unread = Attachments(), list(names)
        for path in paths[:_MAX_READ]:
            name = Path(path).name
            try:
                is_read = self._read_one(work, work.outputs / path, found, progress)
            except (BadInput, Unavailable) as error:
                found.review.append(f"The attachment {name} was not read: {error}")
                is_read = True
            if is_read and name in unread:
                unread.remove(name)
        if unread:
            found.review.append(report_unread(unread, is_written=True))
        return found

    def _read_one(self, work: Work, path: Path, found: Attachments, progress: Progress) -> bool:
        """True if it is a document."""
        kind = media_type(path)
        if not kind:
            return False
        outputs = work.outputs / ".attachment"
        outputs.mkdir(exist_ok=True)
        try:
            inner = replace(work, source=path, media_type=kind, outputs=outputs, checkpoints=None, sidecars={})
            if kind == "application/pdf" or kind.startswith("image/"):
                text, review = self._read_pages(inner, progress)
            else:
                text, review = self._read_text(inner, progress)
        finally:
            shutil.rmtree(outputs, ignore_errors=True)
        if text.strip():
            found.sections.append(f"\n---\n\n## Attachment: {path.name}\n\n{text.strip()}\n")
        found.review += [f"{path.name}: {reason}" for reason in review]
        return True

    def _read_text(self, work: Work, progress: Progress) -> tuple[str, Sequence[str]]:
        read = reader.read(work, self._limits, progress, attachments=False)
        return (work.outputs / read.text_file).read_text("utf-8", errors="replace"), read.review

    def _read_pages(self, work: Work, progress: Progress) -> tuple[str, Sequence[str]]:
        from processors.ocr import ReadOptions

        is_picture = work.media_type != "application/pdf"
        if is_picture and _is_tiny(work.source):
            return "", ()
        options = ReadOptions(formats=("txt",))
        page = cast("Work[ReadOptions]", replace(work, kind=Kind.IMAGE, stem="page", options=options))
        pages = self._ocr.process_one(page, progress)
        review = [reason for reason in pages.review if not (is_picture and reason.endswith(_NO_TEXT))]
        return (work.outputs / "page.txt").read_text("utf-8").replace("\f", "\n"), review


def media_type(path: Path) -> str:
    """The type of an attachment that can be read, by its content and name; "" for any other."""
    import kreuzberg

    size = path.stat().st_size
    if not 0 < size <= _MAX_BYTES:
        return ""
    with path.open("rb") as file:
        head = file.read(_SAMPLE_BYTES)
    if b"%PDF-" in head[:1024]:
        return "application/pdf"
    if head.startswith(_OLE):
        return _OF_OLE.get(path.suffix.lower(), "")
    if path.suffix.lower() == ".eml":
        return "message/rfc822"
    try:
        found = kreuzberg.detect_mime_type_from_bytes(path.read_bytes())  # type: ignore[attr-defined]  # not in __all__
    except (kreuzberg.KreuzbergError, ValueError, RuntimeError):
        return ""
    found = _OTHER_NAMES.get(found, found)
    if found.startswith("text/") and found not in ("text/html", "text/rtf"):
        return "text/plain" if head.startswith(_WIDE) or not head.translate(None, _NO_CONTROLS) else ""
    is_known = found.startswith(("image/", "text/")) and found != "image/svg+xml"
    return found if is_known or found in office.MEDIA_TYPES or found == _XLSX else ""


def report_unread(names: Sequence[str], *, is_written: bool) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    where = "They are in the folder attachments of this result" if is_written else "They are only in the message"
    return f"Attachments were not read: {', '.join(names[:_NAMED])}{more}. {where}: drop those that you need."


def _is_tiny(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return min(picture.size) < _LEAST_SIDE
    except (OSError, SyntaxError, ValueError):
        return False
