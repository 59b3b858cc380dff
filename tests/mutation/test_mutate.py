"""The mutations that are made, and the code that is not mutated."""

import ast

import pytest
from mutate import mutants
from rig import _LATER, ROOT, TESTS, lines_of, unit_tests_of


def _afters(source: str) -> set[str]:
    """The sources of all mutants, in Python's own spelling."""
    code = source.encode()
    return {_normalized(mutant.apply(code)) for mutant in mutants("x.py", code) if mutant.is_valid(code)}


def _normalized(source: str | bytes) -> str:
    return ast.unparse(ast.parse(source))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a == b", {"(a != b)"}),
        ("x = é < b", {"x = (é >= b)", "x = (é <= b)"}),
        ("x = a and b", {"x = (a or b)", "x = a", "x = b"}),
        ("x = (a == 1) & f(b)", {"x = ((a == 1) | f(b))", "x = (a == 1)", "x = (f(b))"}),
        ("x = not a", {"x = a"}),
        ("x = a + 1", {"x = (a - 1)", "x = a + 2"}),
        ("self.x = 1", {"pass", "self.x = 2"}),
        ("f(x)", {"pass"}),
        ("f(x, y=z)", {"pass", "f(x)"}),
        ("x = max(a, b)", {"x = a", "x = b"}),
        ("x = f('queued')", {"x = f('queuedx')"}),
        ("raise Error('queued')", {"pass"}),
        ("x = {E.A, E.B}", {"x = {E.A}", "x = {E.B}"}),
    ],
)
def test_place_is_changed(source: str, expected: set[str]):
    assert {_normalized(each) for each in expected} <= _afters(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "S = \"SELECT x FROM jobs WHERE state = 'queued' AND lease IS ? ORDER BY at DESC\"",
            {
                "S = 'SELECT x FROM jobs WHERE 1 AND lease IS ? ORDER BY at DESC'",
                "S = \"SELECT x FROM jobs WHERE state = 'queued' AND (? OR 1) ORDER BY at DESC\"",
                "S = \"SELECT x FROM jobs WHERE state = 'queued' AND lease IS ? ORDER BY at\"",
            },
        ),
        (
            'S = f"attempt = ? AND lease IS ? AND state IN ({x})"',
            {"S = f'(? OR 1) AND lease IS ? AND state IN ({x})'", "S = f'attempt = ? AND (? OR 1) AND state IN ({x})'"},
        ),
        ("S = 'UPDATE jobs SET state = ?, at = ? WHERE id = 1'", {"S = 'UPDATE jobs SET state = ?, at = ? WHERE 1'"}),
    ],
)
def test_condition_and_order_of_sql_are_changed(source: str, expected: set[str]):
    assert _afters(source) == expected


def test_guard_is_removed_and_negated():
    found = _afters("if a:\n    return b")
    assert {"if False:\n    return b", "if not a:\n    return b", "if a:\n    return None"} <= found


def test_loop_handler_and_suppression_are_disabled():
    assert "for x in ():\n    y = x" in _afters("for x in f:\n    y = x")
    assert "try:\n    x = a\nexcept OSError:\n    raise" in _afters("try:\n    x = a\nexcept OSError:\n    x = b")
    assert "with contextlib.nullcontext():\n    x = a" in _afters("with contextlib.suppress(OSError):\n    x = a")


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring: of 1 line."""',
        'log.warning("%s of %d", a, b + 1, extra=about(job))',
        'assert x is not None, "queued"',
        'x: "int | None"',
        "import os",
        "x = 1 << 20",
        "level = logging.INFO if a == b else logging.WARNING",
        "_PAUSE_SECONDS = 5.0",
        "x = f'{a + 1} of {b}'",
        "x = 'a message of many words'",
        "x = folder / name",
        "@f(1)\ndef g(x: int | None) -> int | None: ...",
        "class A:\n    def __repr__(self): return f(1 + 1)",
    ],
)
def test_harmless_change_is_not_made(source: str):
    assert _afters(source) == set()


def test_every_module_of_the_sample_and_its_tests_exist():
    for name in TESTS:
        assert (ROOT / f"daemon/{name.replace('.', '/')}.py").is_file(), name
        paths = [word for each in (unit_tests_of(name), *_LATER) for word in each.split() if word.startswith("tests/")]
        assert [path for path in paths if not (ROOT / path).exists()] == []


_SOURCE = b"""\
X = a == 1
class C:
    y: int = 2
    def f(self):
        if (
            a
            == 3
        ):
            return b(
                c == 4
            )
"""


@pytest.mark.parametrize(
    ("before", "lines"), [("a == 1", None), ("2", None), ("3", {5, 6, 7, 8}), ("c == 4", {9, 10, 11})]
)
def test_lines_of_a_mutant_are_those_of_its_statement(before: str, lines: set[int] | None):
    found = {mutant.before: lines_of(mutant, _SOURCE) for mutant in mutants("x.py", _SOURCE)}
    assert found[before] == lines
