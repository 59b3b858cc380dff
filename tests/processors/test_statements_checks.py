"""What the checks see, and what they must not pass over in silence."""

from typed import typed_page

from processors.statements import check, read_statements, reasons


def _read(*texts):
    document = read_statements([typed_page(text, number) for number, text in enumerate(texts, start=1)])
    for statement in document.statements:
        check(statement)
    return document


def test_a_page_without_rows_is_to_be_looked_at_and_breaks_nothing():
    document = _read("""
        Account number: 00012345
        Opening balance  1,523.67
        Closing balance  4,619.41
    """)
    assert document.rows == []
    assert reasons(document)[0].startswith("no rows of a statement were found")
