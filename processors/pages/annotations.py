"""Draws the form fields and annotations of a PDF page into the page, so that their text is read with it.

pypdfium2 is imported on first use.
"""

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage
    from pypdfium2.raw import FPDF_ANNOTATION

_HIDDEN_FLAGS = 2 | 32  # Hidden, NoView (ISO 32000-1, table 165)
_PUSH_BUTTON = 1 << 16  # of the flags of a field (ISO 32000-1, table 226)
_TINY = 0.02  # pixels per point
_COMMENT = "a comment is not part of the text: {}"
_VALUE = "a form field or text box does not show its complete text: {}"
_EMPTY = 2  # bytes: the end of a string
_PASSWORD = 1 << 13  # of the flags of a text field (ISO 32000-1, table 228)
_LONGEST_COMMENT = 100  # characters of a comment in the review


@dataclass(frozen=True, kw_only=True)
class CheckBox:
    """A check box or radio button."""

    is_checked: bool
    box: tuple[float, float, float, float]  # left, bottom, right, top in PDF user space


@dataclass(frozen=True, kw_only=True)
class ListBox:
    """A field that shows several entries, of which some are selected."""

    entries: tuple[tuple[str, bool], ...]  # each with True if it is selected
    box: tuple[float, float, float, float]  # as in `CheckBox`


@dataclass(frozen=True, kw_only=True)
class Annotations:
    """The annotations of a page: those that were drawn into it, and those whose text is not drawn."""

    check_boxes: tuple[CheckBox, ...] = ()
    list_boxes: tuple[ListBox, ...] = ()
    missing: tuple[str, ...] = ()  # descriptions of annotations whose text is not drawn on the page
    comments: tuple[str, ...] = ()  # comments on marked text; some programs copy that text into them
    values: tuple[str, ...] = ()  # the texts of fields and boxes that show them as they are

    def report(self, text: str) -> tuple[str, ...]:
        """The reasons for a review of the page. text: that of the page."""
        read = _without_spaces(text)
        new = (each for each in self.comments if _without_spaces(each) not in read)
        unshown = (each for each in self.values if _without_spaces(each) not in read)
        return (
            *self.missing,
            *(_VALUE.format(_shortened(each)) for each in unshown),
            *(_COMMENT.format(_shortened(each)) for each in new),
        )


def flatten(pdf: "PdfDocument", number: int) -> tuple["PdfPage", Annotations]:
    """Open page `number` (from 0), and draw its visible form fields and annotations into it."""
    from pypdfium2 import raw

    page = pdf[number]
    if raw.FPDFPage_GetAnnotCount(page) <= 0:
        return page, Annotations()
    page.render(scale=_TINY).close()  # pdfium then adds the appearances that are missing
    found = _find(pdf, page)
    raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY)
    page.close()  # pdfium parses the changed page when it is loaded again
    return pdf[number], found


def _find(pdf: "PdfDocument", page: "PdfPage") -> Annotations:
    """Describe the visible annotations; remove the others."""
    from pypdfium2 import raw

    boxes, lists, missing, comments, values = [], [], [], [], []
    for index in reversed(range(raw.FPDFPage_GetAnnotCount(page))):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        try:
            subtype = raw.FPDFAnnot_GetSubtype(annotation)
            if raw.FPDFAnnot_GetFlags(annotation) & _HIDDEN_FLAGS:
                raw.FPDFPage_RemoveAnnot(page, index)
            elif subtype == raw.FPDF_ANNOT_WIDGET and (box := _check_box(pdf, annotation)):
                boxes.append(box)
            elif subtype == raw.FPDF_ANNOT_WIDGET and (found := _list_box(pdf, annotation)):
                lists.append(found)
            elif what := _missing(annotation, subtype):
                missing.append(what)
            elif subtype in _marks() and (comment := " ".join(_text(annotation, b"Contents").split())):
                comments.append(comment)
            elif value := _shown_value(pdf, annotation, subtype):
                values.append(value)
        finally:
            raw.FPDFPage_CloseAnnot(annotation)
    return Annotations(
        check_boxes=tuple(boxes),
        list_boxes=tuple(lists),
        missing=tuple(reversed(missing)),
        comments=tuple(reversed(comments)),
        values=tuple(reversed(values)),
    )


def _marks() -> set[int]:
    """The types of annotations that mark a place and may have a comment in a pop-up window."""
    from pypdfium2 import raw

    names = ("HIGHLIGHT", "UNDERLINE", "STRIKEOUT", "SQUIGGLY", "SQUARE", "CIRCLE", "INK", "LINE", "POLYGON", "CARET")
    return {getattr(raw, f"FPDF_ANNOT_{name}") for name in names}


def _check_box(pdf: "PdfDocument", annotation: "FPDF_ANNOTATION") -> CheckBox | None:
    if not _is_check_box(pdf, annotation) or not (box := _rectangle(annotation)):
        return None
    return CheckBox(is_checked=_is_checked(pdf, annotation), box=box)


def _list_box(pdf: "PdfDocument", annotation: "FPDF_ANNOTATION") -> ListBox | None:
    from pypdfium2 import raw

    if pdf.formenv is None or not (box := _rectangle(annotation)):
        return None
    if raw.FPDFAnnot_GetFormFieldType(pdf.formenv, annotation) != raw.FPDF_FORMFIELD_LISTBOX:
        return None
    numbers = range(max(0, raw.FPDFAnnot_GetOptionCount(pdf.formenv, annotation)))
    selected = [bool(raw.FPDFAnnot_IsOptionSelected(pdf.formenv, annotation, number)) for number in numbers]
    labels = [_option(pdf, annotation, number) for number in numbers]
    return ListBox(entries=tuple(zip(labels, selected, strict=True)), box=box)


def _option(pdf: "PdfDocument", annotation: "FPDF_ANNOTATION", number: int) -> str:
    from pypdfium2 import raw

    size = raw.FPDFAnnot_GetOptionLabel(pdf.formenv, annotation, number, None, 0)
    buffer = ctypes.create_string_buffer(max(2, size))
    characters = ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort))
    raw.FPDFAnnot_GetOptionLabel(pdf.formenv, annotation, number, characters, size)
    return buffer.raw[: max(0, size - 2)].decode("utf-16-le", errors="replace")


def _rectangle(annotation: "FPDF_ANNOTATION") -> tuple[float, float, float, float] | None:
    """Left, bottom, right, top; None if it has no area."""
    from pypdfium2 import raw

    found = raw.FS_RECTF()
    if not raw.FPDFAnnot_GetRect(annotation, found) or found.right <= found.left:
        return None
    return found.left, found.bottom, found.right, found.top


def _is_check_box(pdf: "PdfDocument", annotation: "FPDF_ANNOTATION") -> bool:
    from pypdfium2 import raw

    if pdf.formenv is not None:
        kind = raw.FPDFAnnot_GetFormFieldType(pdf.formenv, annotation)
        return kind in (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON)
    flags = ctypes.c_float()  # of a field that no form lists
    raw.FPDFAnnot_GetNumberValue(annotation, b"Ff", flags)
    return _text(annotation, b"FT") == "Btn" and not int(flags.value) & _PUSH_BUTTON


def _is_checked(pdf: "PdfDocument", annotation: "FPDF_ANNOTATION") -> bool:
    """True if the drawn appearance is a checked box; if the annotation has no appearance state, if its value is."""
    from pypdfium2 import raw

    state = _text(annotation, b"AS")
    if state or pdf.formenv is None:
        return (state or _text(annotation, b"V")) not in ("", "Off")
    return bool(raw.FPDFAnnot_IsChecked(pdf.formenv, annotation))


def _missing(annotation: "FPDF_ANNOTATION", subtype: int) -> str:
    """Describe an annotation whose text is not drawn on the page; "" for any other."""
    from pypdfium2 import raw

    contents = " ".join(_text(annotation, b"Contents").split())
    excerpt = _shortened(contents)
    if subtype == raw.FPDF_ANNOT_TEXT and excerpt:
        return _COMMENT.format(excerpt)
    if subtype == raw.FPDF_ANNOT_STAMP and not raw.FPDFAnnot_HasKey(annotation, b"AP"):
        return f"a stamp without a picture was not read: {excerpt or _text(annotation, b'Name') or 'unnamed'}"
    if subtype == raw.FPDF_ANNOT_WIDGET and not raw.FPDFAnnot_HasKey(annotation, b"AP"):
        value = " ".join(_text(annotation, b"V").split())  # of a form that no viewer can draw
        return f"a form field without a picture was not read: {value[:_LONGEST_COMMENT]}" if value else ""
    if subtype == raw.FPDF_ANNOT_FILEATTACHMENT:
        return f"an attached file was not read: {_attached(annotation) or excerpt or 'unnamed'}"
    if subtype == raw.FPDF_ANNOT_REDACT:
        return "text is marked for redaction, but still in the file and in this result: apply the redaction"
    if subtype in (raw.FPDF_ANNOT_MOVIE, raw.FPDF_ANNOT_SOUND, raw.FPDF_ANNOT_RICHMEDIA, raw.FPDF_ANNOT_THREED):
        return f"a video, sound or 3D drawing was not read: {excerpt or 'unnamed'}"
    return ""


def _shown_value(pdf: "PdfDocument", annotation: "FPDF_ANNOTATION", subtype: int) -> str:
    """The text that a text field or text box should show; "" for a password, and for a value that a script formats."""
    from pypdfium2 import raw

    if subtype == raw.FPDF_ANNOT_FREETEXT:
        return " ".join(_text(annotation, b"Contents").split())
    form = pdf.formenv
    if form is None or subtype != raw.FPDF_ANNOT_WIDGET:
        return ""
    if raw.FPDFAnnot_GetFormFieldType(form, annotation) != raw.FPDF_FORMFIELD_TEXTFIELD:
        return ""
    formats = raw.FPDFAnnot_GetFormAdditionalActionJavaScript(form, annotation, raw.FPDF_ANNOT_AACTION_FORMAT, None, 0)
    if formats > _EMPTY or raw.FPDFAnnot_GetFormFieldFlags(form, annotation) & _PASSWORD:
        return ""
    size = raw.FPDFAnnot_GetFormFieldValue(form, annotation, None, 0)
    buffer = ctypes.create_string_buffer(max(_EMPTY, size))
    raw.FPDFAnnot_GetFormFieldValue(form, annotation, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), size)
    value = buffer.raw[: max(0, size - _EMPTY)].decode("utf-16-le", errors="replace")
    return " ".join(value.split())


def _without_spaces(text: str) -> str:
    return "".join(text.split())


def _shortened(comment: str) -> str:
    return comment if len(comment) <= _LONGEST_COMMENT else comment[: _LONGEST_COMMENT - 1] + "…"


def _text(annotation: "FPDF_ANNOTATION", key: bytes) -> str:
    from pypdfium2 import raw

    size = raw.FPDFAnnot_GetStringValue(annotation, key, None, 0)
    buffer = ctypes.create_string_buffer(max(2, size))
    raw.FPDFAnnot_GetStringValue(annotation, key, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), size)
    return buffer.raw[: max(0, size - 2)].decode("utf-16-le", errors="replace")


def _attached(annotation: "FPDF_ANNOTATION") -> str:
    from pypdfium2 import raw

    attachment = raw.FPDFAnnot_GetFileAttachment(annotation)
    if not attachment:
        return ""
    size = raw.FPDFAttachment_GetName(attachment, None, 0)
    buffer = ctypes.create_string_buffer(max(2, size))
    raw.FPDFAttachment_GetName(attachment, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), size)
    return buffer.raw[: max(0, size - 2)].decode("utf-16-le", errors="replace")
