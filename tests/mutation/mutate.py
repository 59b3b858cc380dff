"""Mutants of a module: copies of its source with one small change each, such as a programmer could make by mistake.

Not mutated, because the change would be no fault: log lines, messages (f-strings, strings with spaces, arguments of
`raise`), docstrings, annotations, decorators, asserts, `__repr__` and `__str__`, and tuning constants. Changes that
could only cause a TypeError or a NameError are omitted too: any test that reaches the line would find them. Of SQL as
text, the conditions and the order are mutated; the number of its values stays.
"""

import ast
import copy
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type, tuple[type, ...]] = {
    **{ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,)},
    **{ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.Lt: (ast.GtE, ast.LtE), ast.LtE: (ast.Gt, ast.Lt)},
    **{ast.Gt: (ast.LtE, ast.GtE), ast.GtE: (ast.Lt, ast.Gt)},
}
_ARITHMETIC: dict[type, type] = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult},
    **{ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr},
}
_TUNING = re.compile(r"PAUSE|SECONDS|TRIES|BYTES|BOUNDS|AT_ONCE|MAX_DEPTH|FAILURES|PROBE")
_IMPLIED = re.compile(r"O_CLOEXEC")  # Python sets it anyway (PEP 446)
_NAME_LIKE = re.compile(r"[\w.:/\-]+")  # a string that is no message
_SKIPPED_FIELDS = {"annotation", "returns", "decorator_list", "bases"}
_IS_SQL = re.compile(r"\b(SELECT|UPDATE|DELETE|WHERE|ORDER BY)\b|\bAND \w+ I[SN]\b")
_SQL_CONDITION = re.compile(
    r"""(?P<before>\bWHERE\s+|\bAND\s+|^f?"(?=[^"]*\bAND\b))"""
    r"""(?P<condition>[\w.]+\s+(?:<=|>=|<|>|=|IS\s+NOT|IS)\s+(?:\?|NULL\b|'\w+'|\d+|[\w.]+))"""
)
_SQL_OTHERS = ((re.compile(r" DESC\b"), ""), (re.compile(r"\bmin\("), "max("), (re.compile(r"<="), "<"))
_ATOMS = (ast.Name, ast.Constant, ast.Call, ast.Attribute, ast.stmt)


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change of one module."""

    module: str  # path relative to the root
    digest: str  # of the unchanged source
    line: int
    kind: str
    start: int  # bytes from the beginning of the source
    end: int
    before: str
    after: str

    @property
    def id(self) -> str:
        return f"{self.module}:{self.digest}:{self.start}-{self.end}:{self.kind}:{self.after}"

    def apply(self, source: bytes) -> bytes:
        return source[: self.start] + self.after.encode() + source[self.end :]

    def is_valid(self, source: bytes) -> bool:
        """True if the mutant compiles and differs from the source in more than its layout."""
        try:
            return ast.dump(ast.parse(self.apply(source))) != ast.dump(ast.parse(source))
        except SyntaxError:
            return False


def mutants(module: str, source: bytes) -> list[Mutant]:
    """All mutants of a module, in the order of the source; a few may not compile: see `is_valid`."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    digest, found = hashlib.sha256(source).hexdigest()[:12], {}
    for kind, first, last, after in _changes(ast.parse(source)):
        start = starts[first.lineno - 1] + first.col_offset
        end = starts[last.end_lineno - 1] + last.end_col_offset
        before = source[start:end].decode()
        place = {"line": first.lineno, "start": start, "end": end}
        mutant = Mutant(module=module, digest=digest, kind=kind, before=before, after=after, **place)
        found[start, end, after] = mutant  # two rules may give the same mutant
    for start, end, line, before, after in _changes_of_sql(source, starts):
        place = {"line": line, "start": start, "end": end}
        found[start, end, after] = Mutant(module=module, digest=digest, kind="SQL", before=before, after=after, **place)
    return sorted(found.values(), key=lambda mutant: (mutant.start, mutant.end, mutant.after))


def _changes(tree: ast.AST) -> Iterator[tuple[str, ast.AST, ast.AST, str]]:
    """Yield the kind of each change, the first and the last node that it replaces, and the new text."""
    for node, parents in _walk(tree, ()):
        for kind, new in _changes_of(node, parents):
            text = new if isinstance(new, str) else ast.unparse(ast.fix_missing_locations(new))
            is_atom = isinstance(new, (str, *_ATOMS))
            yield kind, node, node, text if is_atom else f"({text})"
        if isinstance(node, ast.ExceptHandler) and not isinstance(node.body[0], ast.Raise):
            yield "handler", node.body[0], node.body[-1], "raise"


def _walk(node: ast.AST, parents: tuple[ast.AST, ...]) -> Iterator[tuple[ast.AST, tuple[ast.AST, ...]]]:
    if _is_cosmetic(node, parents):
        return
    yield node, parents
    if isinstance(node, ast.Raise):
        return
    for name, value in ast.iter_fields(node):
        if name not in _SKIPPED_FIELDS:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _walk(child, (*parents, node))


def _is_cosmetic(node: ast.AST, parents: tuple[ast.AST, ...]) -> bool:
    match node:
        case ast.BinOp(op=ast.LShift()):  # the size of a buffer
            return True
        case ast.Expr(value=ast.Constant()) | ast.JoinedStr() | ast.Assert() | ast.Import() | ast.ImportFrom():
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="log")))) | ast.keyword(arg="extra"):
            return True
        case ast.FunctionDef(name="__repr__" | "__str__") | ast.Assign(targets=[ast.Name(id="level")]):
            return True
        case ast.Assign(targets=[target]) if len(parents) == 1:
            return _is_tuning(target)
    return False


def _is_tuning(target: ast.expr) -> bool:
    return bool(_TUNING.search(ast.unparse(target))) or ast.unparse(target) == "log"


def _changes_of(node: ast.AST, parents: tuple[ast.AST, ...]) -> Iterator[tuple[str, ast.AST | str]]:
    match node:
        case ast.Compare(ops=ops):
            for at, op in enumerate(ops):
                for other in _COMPARISONS[type(op)]:
                    yield "comparison", _with(node, ops=[*ops[:at], other(), *ops[at + 1 :]])
        case ast.BoolOp(op=op, values=values):
            yield "boolean", _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
            for at in range(len(values)):
                rest = [*values[:at], *values[at + 1 :]]
                yield "operand removed", rest[0] if len(rest) == 1 else _with(node, values=rest)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "boolean", operand
        case ast.BinOp(op=op, left=left, right=right) if not _is_path_or_text(node):
            if type(op) in _ARITHMETIC:
                yield "arithmetic", _with(node, op=_ARITHMETIC[type(op)]())
            if isinstance(op, ast.BitAnd | ast.BitOr) and not _IMPLIED.search(ast.unparse(right)):
                yield from (("operand removed", left), ("operand removed", right))
        case ast.Constant(value=bool() as value):
            yield "constant", str(not value)
        case ast.Constant(value=int() | float() as value):
            yield "constant", repr(value + 1)
        case ast.Constant(value=str() as value) if _NAME_LIKE.fullmatch(value):
            yield "constant", repr(f"{value}x")
        case ast.Call(func=func, args=arguments, keywords=keywords):
            name = ast.unparse(func).split(".")[-1]
            for keyword in keywords if name[0].islower() else ():
                if keyword.arg not in (None, "extra"):
                    yield "argument removed", _with(node, keywords=[each for each in keywords if each is not keyword])
            if name in ("max", "min") and not keywords and len(arguments) > 1:
                yield from (("operand removed", argument) for argument in arguments)
            if name == "suppress":
                yield "handler", "contextlib.nullcontext()"
        case ast.Set(elts=items) | ast.Tuple(elts=items, ctx=ast.Load()) if len(items) > 1 and (
            isinstance(parents[-1], ast.ExceptHandler | ast.Set) or len(parents) == 2 or isinstance(node, ast.Set)
        ):
            for item in items:
                yield "element removed", _with(node, elts=[each for each in items if each is not item])
        case _:
            yield from _changes_of_statement(node, parents)
    if parents and isinstance(parents[-1], ast.If | ast.IfExp | ast.While) and parents[-1].test is node:
        if not isinstance(node, ast.Compare | ast.UnaryOp):
            yield "condition", ast.UnaryOp(op=ast.Not(), operand=node)
        if isinstance(parents[-1], ast.If) and not parents[-1].orelse:
            yield "guard removed", "False"
    if parents and isinstance(parents[-1], ast.comprehension) and node in parents[-1].ifs:
        yield "condition", "True"
    if parents and isinstance(parents[-1], ast.For) and parents[-1].iter is node:
        yield "loop", "()"


def _changes_of_statement(node: ast.AST, parents: tuple[ast.AST, ...]) -> Iterator[tuple[str, ast.AST | str]]:
    is_init = any(isinstance(parent, ast.FunctionDef) and parent.name == "__init__" for parent in parents)
    match node:
        case ast.Expr(value=ast.Call()) | ast.Delete() | ast.Raise() | ast.Continue() | ast.Return(value=None):
            yield "statement removed", "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript(), *_]) if not is_init:
            yield "statement removed", "pass"
        case ast.AugAssign(op=op, value=value):
            yield "statement removed", "pass"
            if isinstance(op, ast.Add | ast.Sub) and isinstance(value, ast.Constant | ast.Call):
                yield "arithmetic", _with(node, op=_ARITHMETIC[type(op)]())
        case ast.Return(value=value) if not isinstance(value, ast.Constant):
            yield "return value", "return None"


def _changes_of_sql(source: bytes, starts: list[int]) -> Iterator[tuple[int, int, int, str, str]]:
    """Yield the start, the end, the line, the old and the new source of each change in SQL that is text."""
    tree = ast.parse(source)
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts
        if not is_text and not isinstance(node, ast.JoinedStr):
            continue
        at = starts[node.lineno - 1] + node.col_offset
        text = source[at : starts[node.end_lineno - 1] + node.end_col_offset].decode()
        if not _IS_SQL.search(text):
            continue
        for match, new in _sql_replacements(text):
            start = at + len(text[: match.start()].encode())
            yield start, start + len(match[0].encode()), node.lineno + text[: match.start()].count("\n"), match[0], new


def _sql_replacements(text: str) -> Iterator[tuple[re.Match[str], str]]:
    for match in _SQL_CONDITION.finditer(text):
        yield match, match["before"] + ("(? OR 1)" if "?" in match["condition"] else "1")
    for pattern, new in _SQL_OTHERS:
        for match in pattern.finditer(text):
            yield match, new


def _is_path_or_text(node: ast.BinOp) -> bool:
    """True if the operands are paths or text: any other operator would raise a TypeError."""
    sides = (node.left, node.right)
    is_number = any(isinstance(side, ast.Constant) and isinstance(side.value, int | float) for side in sides)
    is_text = any(isinstance(side, ast.JoinedStr | ast.Constant) for side in sides) and not is_number
    return isinstance(node.op, ast.Div) and not is_number or is_text


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed
