"""PDF files written by hand, for what no library would write."""

LINES = (
    "Rental agreement between the landlord and the tenant",
    "The monthly rent is 1250.00 EUR, due on the first.",
    "The deposit amounts to three monthly rents.",
)


def stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), entries, content)


def show(text: str, x: float = 60, y: float = 740, size: float = 12) -> str:
    return f"BT /F1 {size} Tf {x} {y} Td ({text}) Tj ET\n"


def one_page(
    content: str | bytes,
    *objects: bytes,
    page: bytes = b"",
    catalog: bytes = b"",
    font: bytes = b"",
    resources: bytes = b"",
) -> bytes:
    """A page of 612 x 792 points. `objects` have the numbers 6 and up; /F1 is Helvetica, with the entries `font`."""
    content = content.encode("latin-1") if isinstance(content, str) else content
    written = [
        b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalog,
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> %s >> %s >>" % (resources, page),
        stream(content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding %s >>" % font,
        *objects,
    ]
    return document(written)


def document(objects: "list[bytes]") -> bytes:
    """The objects as a file (ISO 32000-1, 7.5); the first is the catalog."""
    body, offsets = b"%PDF-1.7\n", []
    for number, each in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    count = len(objects) + 1
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (count, len(body))
    return body + b"xref\n0 %d\n0000000000 65535 f \n" % count + table + trailer


def to_unicode(pairs: "dict[int, str]") -> bytes:
    """A ToUnicode table, from codes of one byte to characters."""
    lines = b"".join(b"<%02X> <%s>\n" % (code, to.encode("utf-16-be").hex().encode()) for code, to in pairs.items())
    return stream(
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def "
        b"1 begincodespacerange <00> <FF> endcodespacerange %d beginbfchar\n%sendbfchar endcmap end end"
        % (len(pairs), lines)
    )


def form(content: str, width: float, height: float) -> bytes:
    """A form XObject, as the appearance of an annotation."""
    entries = b"/Type /XObject /Subtype /Form /BBox [0 0 %g %g] /Resources << /Font << /F1 5 0 R >> >>" % (
        width,
        height,
    )
    return stream(content.encode("latin-1"), entries)
