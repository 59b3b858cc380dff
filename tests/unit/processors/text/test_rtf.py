"""RTF as kreuzberg gets it: every character that Word shows, in UTF-8."""

import re
from pathlib import Path

import pytest
from text_harness import read

from processors.text.rtf import rewrite


def _text(content: bytes) -> str:
    """The text of rewritten RTF, without its control words."""
    text = re.sub(r"\\par ", "\n", rewrite(b"{\\rtf1" + content + b"}").content.decode())
    return re.sub(r"\\(?:\*|[a-z]+-?\d* ?)|[{}]|\\(?=[\\{}])", "", text).strip()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (rb"\ansi\ansicpg1251 \'cf\'f0\'e8", "При"),
        (rb"\ansi\ansicpg1252 Gr\'f6\'dfe", "Größe"),
        (rb"\ansi\b\'41\u66?", "AB"),
        (rb"\mac Gr\'9a\'a7e", "Größe"),
        (rb"\pca Gr\'94\'e1e", "Größe"),
        (rb"\ansi{\fonttbl{\f1\fcharset238 A;}}\f0 Gr\'f6\'dfe \f1 Za\'9f\'f3\'b3\'e6\plain \'e9", "A;Größe Zaźółćé"),
        (rb"\ansi{\fonttbl{\f0\fcharset128 A;}}\f0\'93\'fa\'96\'7b\'83\\x", "A;日本ソx"),
        (rb"\uc1 \u1055?\u1088\'f0\u-10179?\u-8704?x", "Пр😀x"),
        (rb"\uc2\u26085\'93\'fa\u26412 ab{\uc0\u8364}c", "日本€c"),
        (rb"a\~b\_c\-d", "a\u00a0b-cd"),
        (rb"{\listtext 2.\tab}Second", "2.Second"),
        (rb"keep{\deleted GONE}{\deleted0 stays} and \deleted gone\plain  end", "keepstays and  end"),
        (rb"a{\shp{\*\shpinst{\sp{\sn x}{\sv y}}{\shptxt BOX\par}}{\shprslt BOX}} b\par c", "a b\nBOX\n\nc"),
        (rb"{\fonttbl{\f0\fcharset2 Symbol;}}\f0\'b7", "Symbol;•"),
        (b"x{\\pict\\bin5 }{}{}}y", "xy"),
    ],
)  # fmt: skip
def test_characters_of_rtf_are_decoded(content: bytes, text: str):
    assert _text(content) == text


@pytest.mark.slow
def test_what_the_text_of_rtf_lacks_is_reported(tmp_path: Path):
    pytest.importorskip("kreuzberg", reason="the extra `documents` is not installed")
    found = read(
        tmp_path,
        "a.rtf",
        rb"{\rtf1\ansi{\fonttbl{\f1\fcharset238 A;}}one {\v SECRET}{\pict\pngblip 00}{\deleted GONE}\u-10179?\u-8704? "
        rb"\f1 Za\'9f\'f3\'b3\'e6\par{\*\annotation note}{\shp{\*\shpinst{\shptxt boxed\par}}}end\par}",
    )
    assert found.text.split() == ["one", "😀", "Zaźółć", "end", "boxed"]
    for words in ("1 picture", "hidden text", "deletions", "comments"):
        assert words in found.review
