"""The names that `processors.statements` imports when they are first used."""

import ast
from pathlib import Path

import pytest

from processors import statements


def test_type_checker_sees_the_names_that_are_imported_when_used():
    tree = ast.parse(Path(statements.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {name.name: each.module for each in block.body for name in each.names}
    assert seen == {name: f"{statements.__name__}.{module}" for name, module in statements._MODULES.items()}


@pytest.mark.parametrize("name", statements._MODULES)
def test_each_name_is_found(name: str):
    assert getattr(statements, name) is not None


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'rows'"):
        _ = statements.rows
