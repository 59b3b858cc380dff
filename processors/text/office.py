"""Word, PowerPoint, OpenDocument, EPUB and RTF files, by kreuzberg where it reads them: it runs no macro.

What it does not show of a document is looked for here, and reported: pictures, hidden text, other parts.
"""

import io
import logging
import re
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from processors import extras
from processors.contract import BadInput, Unavailable
from processors.text import completeness, drawings, numbering, preparation, rtf, slides
from processors.text.archive_errors import DAMAGED_PART
from processors.text.document import TextDocument

log = logging.getLogger(__name__)

_OPEN_XML = "application/vnd.openxmlformats-officedocument"
DOCX, PPTX = f"{_OPEN_XML}.wordprocessingml.document", f"{_OPEN_XML}.presentationml.presentation"
RTF = "text/rtf"
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."
ODP = f"{_OPEN_DOCUMENT}presentation"
MEDIA_TYPES = {
    *(DOCX, PPTX, "application/msword", "application/vnd.ms-powerpoint", "application/vnd.ms-excel"),
    *("application/vnd.ms-excel.sheet.binary.macroenabled.12", RTF),
    *(f"{_OPEN_DOCUMENT}{part}" for part in ("text", "spreadsheet", "presentation")),
    "application/epub+zip",
}
_FOR_KREUZBERG = {
    RTF: "application/rtf",
    "application/vnd.ms-excel.sheet.binary.macroenabled.12": "application/vnd.ms-excel.sheet.binary.macroEnabled.12",
}
_MAIN_PART, _NUMBERING, _STYLES = "word/document.xml", "word/numbering.xml", "word/styles.xml"
_MAX_FILES = 20_000
_MAX_BYTES = 1_000_000_000  # that all files of a container unpack to
_MAX_RATIO = 200  # of an XML part to its compressed size; real ones reach 50
_SMALL_BYTES = 10_000_000  # parts up to this size may have any ratio
_PART_BYTES = 50_000_000  # of one part, read here
_NAMED, _EXCERPT = 3, 60  # paragraphs in the review, and characters of each
_PICTURES = re.compile(r"(?:word|ppt|xl)/media/[^/]+\.(?:png|jpe?g|gif|bmp|tiff?|emf|wmf|webp|svg)|Pictures/.+", re.I)
_HIDDEN = re.compile(  # of OpenDocument
    rb'text:(?:display="none"|is-hidden="true")|table:(?:display="false"|visibility="(?:collapse|filter)")'
)
_ESCAPED_NUMBER = re.compile(r"^((?:#+ )?\d+)\\([.)])", re.M)  # "1\." at the start of a line
_DAMAGED = "This document is damaged. Open it on your computer, export it as PDF and drop that."
_COMMENTS = "The document has reviewers' comments, which are not in the text."
_BOMB = "This document would unpack to {size:.1f} GB, more than any real document. Export it as PDF and drop that."


def read(source: Path, media_type: str, document: TextDocument) -> None:
    """Write the text of a document as Markdown.

    Raises:
        BadInput: it is damaged, or a decompression bomb.
    """
    if not zipfile.is_zipfile(source):
        if media_type.startswith((_OPEN_XML, _OPEN_DOCUMENT, "application/epub")):
            raise BadInput(_DAMAGED)
        if media_type == RTF:
            read_rtf(source.read_bytes(), document)
        else:
            convert(source.read_bytes(), media_type, document)
        return
    with open_archive(source) as archive:
        document.review += _omissions(archive, archive.namelist(), media_type)
        drawn = list(drawings.find_text(archive))
        if media_type != DOCX and not media_type.startswith(_OPEN_DOCUMENT):
            _add_drawn(drawn, convert(source.read_bytes(), media_type, document), document)
            return
        parts = {
            name: preparation.prepare(content)
            for name in archive.namelist()
            if preparation.is_prepared(name) and (content := _complete_part(archive, name))
        }
        _write_numbers(archive, parts)
        if media_type == ODP:
            text = _write_slides(archive, document)
        else:
            text = convert(_rewritten(archive, parts), media_type, document)
    _add_missing(parts, text, document)
    _add_drawn(drawn, text, document)


def _write_numbers(archive: zipfile.ZipFile, parts: dict[str, bytes]) -> None:
    """Write the numbers of paragraphs, which Word computes, into the text of a Word file."""
    names = archive.namelist()
    if _MAIN_PART in parts and _NUMBERING in names:
        styles = _part(archive, _STYLES) if _STYLES in names else b""
        try:
            numbers = numbering.Numbering(_part(archive, _NUMBERING), styles)
        except ElementTree.ParseError:
            return
        parts[_MAIN_PART] = numbers.write(parts[_MAIN_PART])


def _write_slides(archive: zipfile.ZipFile, document: TextDocument) -> str:
    try:
        text = "".join(slides.to_markdown(_part(archive, "content.xml")))
    except ElementTree.ParseError as error:
        raise BadInput(_DAMAGED) from error
    document.write(text)
    return text


def read_rtf(content: bytes, document: TextDocument) -> None:
    found = rtf.rewrite(content)
    convert(found.content, RTF, document)
    if found.pictures:
        document.review.append(_pictures(found.pictures))
    if found.has_comments:
        document.review.append(_COMMENTS)
    if found.has_deletions:
        document.review.append("The document has tracked changes: the text omits the deletions.")
    if found.has_hidden:
        document.review.append("The document contains hidden text, which was left out.")


def _pictures(count: int) -> str:
    noun = "picture, whose text was" if count == 1 else "pictures, whose text was"
    return f"The document contains {count} {noun} not read. To read it, export the document as PDF and drop that."


def _rewritten(archive: zipfile.ZipFile, parts: Mapping[str, bytes]) -> bytes:
    """The archive with other content in some of its parts."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as copy:
        for part in archive.infolist():
            try:
                copy.writestr(part, parts.get(part.filename) or archive.read(part))
            except DAMAGED_PART as error:
                raise BadInput(_DAMAGED) from error
    return content.getvalue()


def _add_missing(parts: Mapping[str, bytes], markdown: str, document: TextDocument) -> None:
    """Write headers, footers and notes that kreuzberg left out; report paragraphs of the body."""
    text, missing = completeness.Text(markdown), []
    for name, part in parts.items():
        for title, paragraph in completeness.find_missing(name, part, text):
            if title:
                document.write(f"\n\n**{title}:** {paragraph}\n")
            else:
                missing.append(paragraph)
    if missing:
        noun = "paragraph is" if len(missing) == 1 else "paragraphs are"
        excerpt = "; ".join(each[:_EXCERPT] for each in missing[:_NAMED])
        document.review.append(f"{len(missing)} {noun} missing or incomplete in the text: {excerpt}.")


def _add_drawn(drawn: Sequence[tuple[str, str]], markdown: str, document: TextDocument) -> None:
    """Write the text of drawings that kreuzberg left out."""
    for title, words in drawn:
        if not completeness.Text(markdown).has(words):
            document.write(f"\n\n**{title}:** {words}\n")


def convert(content: bytes, media_type: str, document: TextDocument) -> str:
    """Write the text that kreuzberg finds in a file, and return it.

    Raises:
        BadInput: it cannot be read.
        Unavailable: kreuzberg is not installed.
    """
    if missing := extras.why_missing("documents"):
        raise Unavailable(missing)
    import kreuzberg

    config = kreuzberg.ExtractionConfig(
        use_cache=False,
        output_format="markdown",
        enable_quality_processing=False,
        content_filter=kreuzberg.ContentFilterConfig(
            include_headers=True, include_footers=True, strip_repeating_text=False, include_watermarks=True
        ),
        concurrency=kreuzberg.ConcurrencyConfig(max_threads=1),
    )
    try:
        found = kreuzberg.extract_bytes_sync(content, _FOR_KREUZBERG.get(media_type, media_type), config=config)
    except (kreuzberg.KreuzbergError, ValueError, RuntimeError) as error:
        log.warning("kreuzberg: %s", str(error)[:500])
        raise BadInput(_DAMAGED) from error
    text = _ESCAPED_NUMBER.sub(r"\1\2", str(found.content))
    document.write(text)
    for warning in found.processing_warnings or ():
        document.review.append(f"A part was not read: {str(getattr(warning, 'message', warning))[:200]}.")
    return text


def open_archive(source: Path) -> zipfile.ZipFile:
    """Open a container of compressed parts.

    Raises:
        BadInput: it is damaged, encrypted, or a decompression bomb.
    """
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise BadInput(_DAMAGED) from error
    parts = archive.infolist()
    total = sum(part.file_size for part in parts)
    steep = [part for part in parts if part.file_size > max(_SMALL_BYTES, _MAX_RATIO * part.compress_size)]
    if len(parts) > _MAX_FILES or total > _MAX_BYTES or steep:
        raise BadInput(_BOMB.format(size=max(total, _SMALL_BYTES) / 1e9))
    if any(part.flag_bits & 1 for part in parts):
        raise BadInput("This document is encrypted. Save it without a password and drop it again.")
    return archive


def _omissions(archive: zipfile.ZipFile, names: list[str], media_type: str) -> Iterator[str]:
    """Content that the text lacks, or that it contains although the document does not show it."""
    if pictures := sum(bool(_PICTURES.fullmatch(name)) for name in names):
        yield _pictures(pictures)
    if charts := drawings.count_charts(names):
        yield drawings.report_charts(charts)
    if any(name.endswith("vbaProject.bin") for name in names):
        yield "The document contains macros, which were not run."
    if embedded := [name for name in names if "/embeddings/" in name]:
        yield f"The document contains {len(embedded)} embedded files, which were not read."
    if any(name.endswith("/comments.xml") for name in names):
        yield _COMMENTS
    if media_type == DOCX:
        body = _part(archive, next((name for name in names if re.fullmatch(r"word/document\d*\.xml", name)), ""))
        if re.search(rb'<w:vanish\s*(?:/>|w:val="(?:1|true|on)")', body):
            yield "The document contains hidden text, which is included."
        if b"<w:altChunk " in body:
            yield "A part of the document is another file within it, which was not read. Export the document as PDF."
        if b"<w:del " in body or b"<w:ins " in body:
            yield "The document has tracked changes: the text contains the insertions and omits the deletions."
    if media_type == PPTX:
        yield from _slides(archive, names)
    if media_type.startswith(_OPEN_DOCUMENT):
        content = _part(archive, "content.xml") + _part(archive, "styles.xml")
        if _HIDDEN.search(content):
            yield "The document contains hidden text, sheets, rows or columns, which are included."


def _slides(archive: zipfile.ZipFile, names: list[str]) -> Iterator[str]:
    slides = [name for name in names if re.fullmatch(r"ppt/slides/slide\d+\.xml", name)]
    hidden = sum(b'show="0"' in _part(archive, name)[:2000] for name in slides)
    if hidden:
        yield f"{hidden} hidden slide{'s are' if hidden > 1 else ' is'} included."
    shown = _slide_order(archive)
    if shown != sorted(shown):
        order = ", ".join(str(sorted(shown).index(number) + 1) for number in shown[:50])
        yield f"The presentation shows the slides in another order than the text: {order}."
    if any(name.startswith("ppt/notesSlides/") for name in names):
        yield "The slides have speaker notes: check whether the text has them."


def _slide_order(archive: zipfile.ZipFile) -> list[int]:
    """The numbers in the names of the slides, in the order of the presentation."""
    relations = _part(archive, "ppt/_rels/presentation.xml.rels")
    targets = {}
    for relation in re.findall(rb"<Relationship\b[^>]*>", relations):
        identity, target = re.search(rb'\bId="([^"]+)"', relation), re.search(rb"slides/slide(\d{1,9})\.xml", relation)
        if identity and target:
            targets[identity[1]] = int(target[1])
    listed = re.findall(rb'<p:sldId\b[^>]*\br:id="([^"]+)"', _part(archive, "ppt/presentation.xml"))
    return [targets[identity] for identity in listed if identity in targets]


def _complete_part(archive: zipfile.ZipFile, name: str) -> bytes:
    """A part; b"" if it is damaged or too large to be rewritten."""
    return _part(archive, name) if archive.getinfo(name).file_size <= _PART_BYTES else b""


def _part(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        with archive.open(name) as part:
            return part.read(_PART_BYTES)
    except (KeyError, *DAMAGED_PART):
        return b""
