"""Exact numbers in JSON, and validation by a schema."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.vlm.extract import dumps, loads, schema_errors

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=40, deadline=None)
@given(_JSON)
def test_any_json_is_written_as_it_was_read(data):
    again = loads(dumps(data))
    assert again == data


def test_amounts_keep_their_zeros_and_all_their_digits():
    text = '{\n  "a": 895.50,\n  "b": 12345678901234567890.10,\n  "c": [],\n  "d": {}\n}'
    assert dumps(loads(text)) == text
    assert loads(text)["a"] == Decimal("895.50")


def test_references_are_never_fetched():
    remote = {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/a"}}}
    with pytest.raises(Exception, match="Unresolvable"):
        schema_errors({"a": 1}, remote)
