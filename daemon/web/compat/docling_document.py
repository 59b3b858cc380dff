"""Converts a text into docling's document type, DoclingDocument: paragraphs and headings, without positions on pages.

Schema: https://github.com/docling-project/docling-core/blob/main/docs/DoclingDocument.json. Docling's client rebuilds
every result from it.
"""

import re

_VERSION = "1.0.0"  # of the schema; readers accept older ones
_PARAGRAPHS = re.compile(r"\n[ \t]*\n|\f")
_HEADING = re.compile(r"(#{1,6}) +(.+)")


def to_document(name: str, markdown: str) -> dict[str, object]:
    """Convert Markdown into a DoclingDocument with its paragraphs and headings in order."""
    blocks = [block.strip() for block in _PARAGRAPHS.split(markdown) if block.strip()]
    texts = [_text(number, block) for number, block in enumerate(blocks)]
    return {
        "schema_name": "DoclingDocument",
        "version": _VERSION,
        "name": name,
        "furniture": _root("furniture"),
        "body": {**_root("body"), "children": [{"$ref": text["self_ref"]} for text in texts]},
        "groups": [],
        "texts": texts,
        "pictures": [],
        "tables": [],
        "key_value_items": [],
        "form_items": [],
        "pages": {},
    }


def _root(layer: str) -> dict[str, object]:
    facts = {"content_layer": layer, "name": "_root_", "label": "unspecified"}
    return {"self_ref": f"#/{layer}", "children": [], **facts}


def _text(number: int, block: str) -> dict[str, object]:
    heading = _HEADING.fullmatch(block)
    text = heading[2] if heading else block
    item = {"self_ref": f"#/texts/{number}", "parent": {"$ref": "#/body"}, "children": [], "content_layer": "body"}
    kind = {"label": "section_header", "level": len(heading[1])} if heading else {"label": "text"}
    return {**item, **kind, "prov": [], "orig": text, "text": text}
