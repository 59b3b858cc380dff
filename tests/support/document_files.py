"""Documents of all kinds, made without the programs that usually write them: small, valid and hostile ones."""

import io
import zipfile
from collections.abc import Mapping, Sequence

_WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_SLIDE = (
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
_OPEN = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
)
_XML = '<?xml version="1.0" encoding="UTF-8"?>'
_TYPE = "application/vnd.openxmlformats-officedocument"
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def archive(files: Mapping[str, str | bytes], *, stored: tuple[str, ...] = ("mimetype",)) -> bytes:
    """A ZIP archive; `stored`: the files in it that are not compressed."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, text in files.items():
            opened.writestr(name, text, zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED)
    return content.getvalue()


def _content_types(parts: Mapping[str, str]) -> str:
    overrides = "".join(f'<Override PartName="/{name}" ContentType="{_TYPE}.{kind}"/>' for name, kind in parts.items())
    return (
        f'{_XML}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/><Default Extension="rels" '
        f'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>{overrides}</Types>'
    )


def _relations(targets: Mapping[str, tuple[str, str]]) -> str:
    """By id: the kind of the relation, and its target."""
    each = (
        f'<Relationship Id="{name}" Type="{_RELATION}/{kind}" Target="{target}"/>'
        for name, (kind, target) in targets.items()
    )
    namespace = "http://schemas.openxmlformats.org/package/2006/relationships"
    return f'{_XML}<Relationships xmlns="{namespace}">{"".join(each)}</Relationships>'


def docx(body: str = "", *, more: Mapping[str, str | bytes] | None = None, part: str = "document.xml") -> bytes:
    """A Word document. body: paragraphs as WordprocessingML, or a text for one."""
    inner = body if body.startswith("<") else f"<w:p><w:r><w:t>{body}</w:t></w:r></w:p>"
    return archive(
        {
            "[Content_Types].xml": _content_types({f"word/{part}": "wordprocessingml.document.main+xml"}),
            "_rels/.rels": _relations({"r1": ("officeDocument", f"word/{part}")}),
            f"word/{part}": f"{_XML}<w:document {_WORD}><w:body>{inner}</w:body></w:document>",
            **(more or {}),
        }
    )


def word_part(tag: str, inner: str) -> str:
    """Another part of a Word document, such as its footnotes."""
    return f"{_XML}<w:{tag} {_WORD}>{inner}</w:{tag}>"


def pptx(slides: Mapping[str, str], *, order: tuple[str, ...] = (), hidden: tuple[str, ...] = ()) -> bytes:
    """A presentation. slides: the title of each by its file's name; `order`: those files as they are shown."""
    order = order or tuple(slides)
    parts = {f"ppt/slides/{name}": "presentationml.slide+xml" for name in slides}
    shown = "".join(f'<p:sldId id="{256 + n}" r:id="s{n}"/>' for n in range(len(order)))
    return archive(
        {
            "[Content_Types].xml": _content_types(
                {"ppt/presentation.xml": "presentationml.presentation.main+xml", **parts}
            ),
            "_rels/.rels": _relations({"r1": ("officeDocument", "ppt/presentation.xml")}),
            "ppt/presentation.xml": f"{_XML}<p:presentation {_SLIDE}><p:sldIdLst>{shown}</p:sldIdLst></p:presentation>",
            "ppt/_rels/presentation.xml.rels": _relations(
                {f"s{n}": ("slide", f"slides/{name}") for n, name in enumerate(order)}
            ),
            **{f"ppt/slides/{name}": _slide(title, is_shown=name not in hidden) for name, title in slides.items()},
        }
    )


def _slide(title: str, *, is_shown: bool) -> str:
    shape = (
        '<p:sp><p:nvSpPr><p:cNvPr id="2" name="T"/><p:cNvSpPr/><p:nvPr><p:ph type="title"/></p:nvPr></p:nvSpPr>'
        f"<p:spPr/><p:txBody><a:bodyPr/><a:p><a:r><a:t>{title}</a:t></a:r></a:p></p:txBody></p:sp>"
    )
    show = "" if is_shown else 'show="0"'
    return f"{_XML}<p:sld {_SLIDE} {show}><p:cSld><p:spTree>{shape}</p:spTree></p:cSld></p:sld>"


def opendocument(inner: str, *, kind: str = "text", stored: tuple[str, ...] = ("mimetype",)) -> bytes:
    """An OpenDocument file. inner: of <office:text>, <office:spreadsheet> …, or a text for one paragraph."""
    inner = inner if inner.startswith("<") else f"<text:p>{inner}</text:p>"
    content = (
        f"{_XML}<office:document-content {_OPEN}><office:body><office:{kind}>{inner}</office:{kind}></office:body>"
    )
    return archive(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "content.xml": f"{content}</office:document-content>",
            "META-INF/manifest.xml": "<manifest/>",
        },
        stored=stored,
    )


def epub(chapters: Mapping[str, str]) -> bytes:
    """An e-book; chapters: XHTML bodies by file name, in order."""
    items = "".join(
        f'<item id="i{n}" href="{name}" media-type="application/xhtml+xml"/>' for n, name in enumerate(chapters)
    )
    spine = "".join(f'<itemref idref="i{n}"/>' for n in range(len(chapters)))
    return archive(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": f'{_XML}<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
            'version="1.0"><rootfiles><rootfile full-path="c.opf" media-type="application/oebps-package+xml"/>'
            "</rootfiles></container>",
            "c.opf": f'{_XML}<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
            'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Book</dc:title></metadata>'
            f"<manifest>{items}</manifest><spine>{spine}</spine></package>",
            **{
                name: f'<html xmlns="http://www.w3.org/1999/xhtml"><body>{body}</body></html>'
                for name, body in chapters.items()
            },
        }
    )


def ole(*streams: str) -> bytes:
    """An OLE compound file with empty streams of these names; only its directory is right ([MS-CFB], 2.6)."""
    size, none, end = 512, 0xFFFFFFFF, 0xFFFFFFFE
    entries = [_entry("Root Entry", 5), *(_entry(name, 2) for name in streams)]
    entries += [bytes(128)] * (-len(entries) % 4)
    sectors = len(entries) // 4
    fat = [0xFFFFFFFD, *range(2, sectors + 1), end]  # sector 0 is the table, the directory follows
    fat += [none] * (size // 4 - len(fat))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + _words(2, 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += _words(4, 0, 1, 1, 0, 0x1000, end, 0, end, 0, 0, *[none] * 108)
    return header + _words(4, *fat) + b"".join(entries)


def compound(streams: Mapping[str, bytes]) -> bytes:
    """A valid OLE compound file ([MS-CFB]) with these streams, by path."""
    names = sorted({"/".join(parts[:depth]) for parts in map(_parts, streams) for depth in range(1, len(parts) + 1)})
    numbers = {name: number for number, name in enumerate(["", *names])}
    children = {parent: [name for name in names if _parent(name) == parent] for parent in numbers}
    small, large, minis = b"", [], []
    starts = {}
    for name, content in streams.items():
        if len(content) < 4096:
            starts[name] = len(small) // 64
            minis += _chain(starts[name], -(-len(content) // 64))
            small += content.ljust(-(-len(content) // 64) * 64, b"\0")
        else:
            large.append(name)
    contents = [_words(4, *minis), small, *(streams[name] for name in large)]
    directory = -(-len(numbers) // 4)
    sectors = [-(-len(content) // 512) for content in contents]
    tables = -(-(directory + sum(sectors) + 8) // 127)
    at, fat, firsts = tables, [0xFFFFFFFD] * tables, []
    for count in (directory, *sectors):
        fat += _chain(at, count)
        firsts.append(at if count else 0xFFFFFFFE)
        at += count
    starts |= {"": firsts[2], **dict(zip(large, firsts[3:], strict=True))}
    entries = b""
    for name in numbers:
        siblings = children[_parent(name)] if name else []
        after = siblings[siblings.index(name) + 1 :] if name else []
        links = (numbers[after[0]] if after else _NONE, numbers[children[name][0]] if children.get(name) else _NONE)
        size = len(small) if not name else len(streams.get(name, b""))
        kind = 5 if not name else 2 if name in streams else 1
        raw = (name.rsplit("/", 1)[-1] or "Root Entry").encode("utf-16-le") + b"\0\0"
        entries += raw.ljust(64, b"\0") + _words(2, len(raw)) + bytes([kind, 1]) + _words(4, _NONE, *links)
        entries += bytes(36) + _words(4, starts.get(name, 0), size, 0)
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + _words(2, 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += _words(4, 0, tables, firsts[0], 0, 0x1000, firsts[1], sectors[0], 0xFFFFFFFE, 0, *range(tables))
    parts = zip((entries, *contents), (directory, *sectors), strict=True)
    body = [content.ljust(count * 512, b"\0") for content, count in parts]
    return header.ljust(512, b"\xff") + _words(4, *fat).ljust(tables * 512, b"\xff") + b"".join(body)


_NONE = 0xFFFFFFFF


def _parts(path: str) -> list[str]:
    return path.split("/")


def _parent(path: str) -> str:
    return path.rpartition("/")[0] if path else "/"


def _chain(start: int, count: int) -> list[int]:
    """The entries of a table of sectors for a stream of that many sectors."""
    return [*range(start + 1, start + count), 0xFFFFFFFE][:count]


def outlook(
    texts: Mapping[int, str | bytes], *, attached: Sequence[Mapping[int, object]] = (), to: Sequence[str] = ()
) -> bytes:
    """A message of Outlook (.msg). texts: by identifier of the property; `attached`: the same of each attachment."""
    return compound(_message(texts, attached, to, header=32))


def _message(
    texts: Mapping[int, object], attached: Sequence[Mapping[int, object]], to: Sequence[str], header: int
) -> dict[str, bytes]:
    found = _properties(texts, header)
    for number, name in enumerate(to):
        people = _properties({0x3001: name, 0x39FE: f"{name.lower()}@example.org", 0x0C15: 1 + number}, 8)
        found |= {f"__recip_version1.0_#{number:08X}/{key}": value for key, value in people.items()}
    for number, each in enumerate(attached):
        folder = f"__attach_version1.0_#{number:08X}"
        plain = {key: value for key, value in each.items() if not isinstance(value, dict)}
        found |= {f"{folder}/{key}": value for key, value in _properties(plain, 8).items()}
        for inner in (value for value in each.values() if isinstance(value, dict)):
            streams = _message(inner, (), (), header=24)
            found |= {f"{folder}/__substg1.0_3701000D/{key}": value for key, value in streams.items()}
    return found


def _properties(values: Mapping[int, object], header: int) -> dict[str, bytes]:
    streams, fixed = {}, bytes(header)
    for identifier, value in values.items():
        match value:
            case int():
                kind = 0x40 if value >= 1 << 32 else 3
                fixed += _words(2, kind, identifier) + _words(4, 6) + _words(8, value)
            case str():
                streams[f"__substg1.0_{identifier:04X}001F"] = value.encode("utf-16-le")
            case bytes():
                streams[f"__substg1.0_{identifier:04X}0102"] = value
    return {"__properties_version1.0": fixed, **streams}


def _entry(name: str, kind: int) -> bytes:
    raw = name.encode("utf-16-le") + b"\0\0"
    links = _words(4, *[0xFFFFFFFF] * 3)
    return raw.ljust(64, b"\0") + _words(2, len(raw)) + bytes([kind, 1]) + links + bytes(48)


def _words(size: int, *values: int) -> bytes:
    return b"".join(value.to_bytes(size, "little") for value in values)
