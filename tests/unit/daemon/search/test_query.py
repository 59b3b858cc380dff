"""What people type, as a query of FTS5, and where texts match it."""

import sqlite3

import pytest

from daemon.search import query
from daemon.search.index import _folded


def matches(text: str, typed: str) -> bool:
    """True if FTS5 finds the text; the spans must agree."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5 (folded, content = '', tokenize = 'ascii')")
    connection.execute("INSERT INTO words (rowid, folded) VALUES (1, ?)", (_folded(text),))
    terms = query.parse(typed)
    found = bool(connection.execute("SELECT 1 FROM words WHERE words MATCH ?", (query.to_fts(terms),)).fetchall())
    assert found == all(any(term.spans(list(query.tokens(text)))) for term in terms)
    return found


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("Rent for May", "may rent"),
        ("Rent for May", '"for may"'),
        ("Rent for May", "re*"),
        ("Rent for May", '"rent fo"*'),
        ("Herr Müller", "mueller"),
        ("Herr Mueller", "Müller"),
        ("Große Straße 5", "grosse STRASSE"),
        ("balance 1,234.56 EUR", "1234.56"),
        ("balance 1234.56 EUR", "1.234,56"),
        ("balance 1.234,56 EUR", "1,234.56"),
        ("2024-05-03 Card", "2024-05-03"),
        ("東京都", "京都"),
        ("it's O'Neill", "o'neill"),
        ("AND OR NOT NEAR", 'and or "not near"'),
    ],
)
def test_text_is_found(text: str, typed: str):
    assert matches(text, typed)


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("Rent for May", "rent june"),
        ("Rent for May", '"may for"'),
        ("Rent for May", "ent"),
        ("Rents", "rent"),
        ("1234.57", "1234.56"),
    ],
)
def test_text_is_not_found(text: str, typed: str):
    assert not matches(text, typed)


@pytest.mark.parametrize("typed", ["", "  ", '"', "*", "()", '"" --', "\x00"])
def test_query_without_words_has_no_terms(typed: str):
    assert query.parse(typed) == []


@pytest.mark.parametrize("typed", ['a" OR "b', "col:x", "x NEAR/2 y", "a* b* -c ^d", "ü" * 400, "aeoeue " * 100])
def test_no_input_is_taken_for_syntax(typed: str):
    matches("some text", typed)


def test_spans_do_not_overlap():
    terms = query.parse('"may rent" rent ma*')
    assert query.spans(terms, "Paid: May rent, rent.") == [(6, 14), (16, 20)]
