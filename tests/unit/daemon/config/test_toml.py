"""What is refused before tomllib would choke on it, and that nothing else is."""

import string
import tomllib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daemon.config import toml


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a = " + b"9" * 5000, "must fit in 64 bits"),
        (b"a = " + b"[" * 60_000, "brackets nested more than 16 deep (line 1)"),
        (b"a = 1\nb = " + b"{a=" * 20_000, "brackets nested more than 16 deep (line 2)"),
        (b"a = 0x" + b"f" * 60_000, "must fit in 64 bits"),
        (b"a = 9223372036854775808", "must fit in 64 bits"),
        (b"a = [[-9223372036854775809]]", "must fit in 64 bits"),
        (b"a." * 30_000 + b"a = 1", "more than 16 parts"),
        (b"[" + b"'a' . " * 10_000 + b"a]", "more than 16 parts"),
        (b"a = {" + b'"a".' * 10_000 + b"a=1}", "more than 16 parts"),
        (b'a = ["""x"""", ' + b"[" * 5000, "brackets"),  # a text that ends in a quote of its own
        (b"a = ['''x'''', " + b"[" * 5000, "brackets"),
        (b'a = ["\\"", ' + b"[" * 5000, "brackets"),
        (b"\xff", "UTF-8"),
        (b"a = ", "Invalid value"),
    ],
)
def test_what_would_stop_the_parser_is_refused_in_words(content: bytes, words: str):
    with pytest.raises(ValueError) as raised:
        toml.parse(content)
    assert words in str(raised.value)


def test_written_table_is_read_back_unchanged():
    table = {"language": "de", "formats": ["srt", 'a"b'], "speakers": {"min": 2}, "a b": True, "long": "x" * 5000}
    assert toml.parse(toml.lines(table).encode()) == table


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a = '" + b"[" * 1000 + b"'",
        b'a = "' + b"{." * 1000 + b'"',
        b"# " + b"[" * 1000 + b"\na = 1",
        b'a = """\n' + b"[[\n" * 1000 + b'"""""\nb = 2',
        b"a = [" + b"1.5, " * 1000 + b"]",
        b"\n".join(b"k%d.a.b = 1" % number for number in range(1000)),
        b"\n".join(b"[k%d.a.b]" % number for number in range(1000)),
        b"a = " + b"[" * 16 + b"]" * 16,
        b"a = 9223372036854775807\nb = -9223372036854775808",
        b"\r\n".join([b"a = 1", b"b = 2"]),
    ],
)
def test_text_that_only_looks_nested_is_read(content: bytes):
    assert toml.parse(content) == tomllib.loads(content.decode())


def test_file_saved_by_notepad_is_read():
    assert toml.parse("\ufeffa = 1\r\n".encode()) == {"a": 1}


_PIECES = st.sampled_from(
    [*"[]{}=.,#\n\\\"' a1", '"""', "'''", "a.b", " = ", "\r\n", '\\"', "true", "1.5", "[[", "]]", '""', "''", "1_0"]
)


@given(st.lists(_PIECES, max_size=40).map("".join))
@settings(max_examples=1500, deadline=None)
def test_all_toml_is_read_as_by_tomllib(text: str):
    """With few enough brackets and dots that no bound is met."""
    if text.count("[") + text.count("{") > 16 or text.count(".") > 15:
        return
    try:
        expected = tomllib.loads(text)
    except ValueError:
        with pytest.raises(ValueError):
            toml.parse(text.encode())
    else:
        assert toml.parse(text.encode()) == expected


def _nesting(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_nesting, inner), default=0)


@given(st.text(string.printable, max_size=20), st.integers(20, 200), st.sampled_from("[{"))
@example("]#", 20, "[")
@settings(max_examples=300, deadline=None)
def test_nothing_hides_brackets_that_tomllib_would_open(before: str, depth: int, bracket: str):
    """Where tomllib gets as far as the brackets, they are counted."""
    text = f"a = [{before}" + ("[" if bracket == "[" else "{a=") * depth + "1"
    close = text + ("]" if bracket == "[" else "}") * depth + "]"
    try:
        nested = _nesting(tomllib.loads(close))
    except ValueError:
        return
    if nested < depth:  # they are in a comment: a = []#[[[
        return
    with pytest.raises(ValueError, match="brackets"):
        toml.parse(close.encode())


@pytest.mark.parametrize(
    ("toml_value", "words"),
    [
        ("2024-01-01", "dates"),
        ("[[12:00:00]]", "dates"),
        ("nan", "nan"),
        ("{a = [-inf]}", "inf"),
        ("'" + "x" * 20_000 + "'", "maximum 16,384"),
        ("[" + "1," * 1001 + "]", "maximum 1,000"),
    ],
)
def test_values_that_no_row_can_hold_are_refused(toml_value: str, words: str):
    with pytest.raises(ValueError, match=words):
        toml.check_plain(toml.parse(f"a = {toml_value}".encode()))


def test_values_that_a_row_can_hold_are_returned_as_they_are():
    table = {"a": [1, 2.5, True, "text", {"b": []}]}
    assert toml.check_plain(table) is table
