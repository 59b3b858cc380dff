"""Reading a document with the layouts of earlier ones, and remembering its own.

A remembered layout is tried first. It is used if the document's own balances confirm it. If they confirm nothing, it is
used if nothing contradicts it and all remembered layouts that fit agree; rows that no balance confirms are then
reported. No layout overrides a reading that balances confirm.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from processors.statements.checks.confirmation import confirmation, is_confirmed, is_sure, rate
from processors.statements.layouts.learn import describe_layout
from processors.statements.layouts.match import Candidate, find_candidates, others_of_bank
from processors.statements.layouts.pages import FirstPages
from processors.statements.layouts.record import RememberedLayout
from processors.statements.layouts.store import Damaged, LayoutStore
from processors.statements.notation.conventions import Conventions
from processors.statements.notation.words import PageWords
from processors.statements.records import StatementDocument
from processors.statements.table.hypotheses import find_best
from processors.statements.table.model import TableModel

log = logging.getLogger(__name__)

Read = Callable[[TableModel], StatementDocument]

_MOST_TRIED = 3  # layouts that are read as tables
_MOST_DAMAGED = 3  # files that are named
_MOST_CONTRADICTED = 0.1  # of the rows of a document from which a layout is learned: misread digits


@dataclass(frozen=True)
class LayoutMemory:
    """The remembered layouts."""

    store: LayoutStore
    today: date
    learns: bool = True  # False: nothing is written, as in a second reading of the same document


def read_with_layouts(pages: Sequence[PageWords], read: Read, memory: LayoutMemory | None) -> StatementDocument:
    """The best reading of a document, which may be that of a remembered layout; its layout is remembered."""
    if memory is None:
        return find_best(pages, read)
    try:
        layouts, damaged = memory.store.load()
    except OSError as error:
        log.warning("cannot read the remembered layouts in %s: %s", memory.store.folder, error.strerror)
        return find_best(pages, read)
    document = _Reading(pages, read, memory, layouts).best()
    document.notes += _describe_damaged(damaged)
    return document


def _describe_damaged(damaged: Sequence[Damaged]) -> list[str]:
    return [
        f"the remembered layout {each.name!r} was ignored: {each.why}; to remove it: inboxd layouts forget {each.name}"
        for each in damaged[:_MOST_DAMAGED]
    ]


class _Reading:
    """One document."""

    def __init__(
        self, pages: Sequence[PageWords], read: Read, memory: LayoutMemory, layouts: Sequence[RememberedLayout]
    ):
        self._pages = pages
        self._read = read
        self._memory = memory
        self._layouts = layouts
        self._first = FirstPages(pages)
        self._candidates = find_candidates(self._first, layouts)
        self._agree = len(self._candidates) < 2
        self._done: dict[TableModel, StatementDocument] = {}

    def best(self) -> StatementDocument:
        tried = [(each, self._try(each)) for each in self._candidates if not each.layout.has_known_headings]
        proven = [(each, found) for each, found in tried[:_MOST_TRIED] if is_sure(found) and is_proven(found)]
        if proven:
            return self._confirm(*max(proven, key=lambda pair: rate(pair[1])))
        best = find_best(self._pages, self._read_known)
        closest = max(tried, key=lambda pair: rate(pair[1]), default=None)
        if closest and is_proven(closest[1]) and rate(closest[1]) >= rate(best):
            return self._confirm(*closest)
        if is_proven(best):
            return self._learn(best)
        if is_sure(best):
            return best
        if closest and self._agree and _may_replace(closest[1], best):
            return self._use(*closest)
        return self._report_unconfirmed(best, was_tried=bool(closest))

    def _try(self, candidate: Candidate) -> StatementDocument:
        layout = candidate.layout
        model = TableModel(headings=candidate.headings, balances_alone=layout.balances_alone)
        return self._read_once(replace(model, conventions=layout.conventions))

    def _read_known(self, model: TableModel) -> StatementDocument:
        """Read by `model`, and the conventions of this bank if only one of its layouts fits."""
        only = self._candidates[0] if len(self._candidates) == 1 else None
        known = only.layout.conventions if only and only.is_of_bank else Conventions()
        return self._read_once(replace(model, conventions=known))

    def _read_once(self, model: TableModel) -> StatementDocument:
        if model not in self._done:
            self._done[model] = self._read(model)
        return self._done[model]

    def _confirm(self, candidate: Candidate, document: StatementDocument) -> StatementDocument:
        """The document's balances confirm a remembered layout."""
        _tell_source(candidate, document)
        layout = candidate.layout
        again = layout.model_copy(
            update={
                "bank": self._first.bank,
                "conventions": document.conventions,
                "used": self._memory.today,
                "seen": (self._first.digest,),
            }
        )
        self._save(lambda present: _merged(candidate, again, present))
        return document

    def _use(self, candidate: Candidate, document: StatementDocument) -> StatementDocument:
        """Nothing in the document contradicts a remembered layout, and little or nothing confirms it."""
        _tell_source(candidate, document)
        loose = [statement for statement in document.statements if confirmation(statement).loose]
        if loose:
            document.doubts.append(f"the columns are those of {candidate.source}")
        for row in [row for statement in loose for row in statement.rows if not candidate.is_of_bank]:
            row.flags.append(f"its columns are those of {candidate.source}, which may be those of another bank")
        self._touch(candidate.layout)
        return document

    def _learn(self, document: StatementDocument) -> StatementDocument:
        """Remember a layout that the document's balances confirm; report what differs from what was remembered."""
        model = next((model for model, found in self._done.items() if found is document), None)
        found = model and describe_layout(self._first, document, model, self._memory.today)
        if not found:
            return document
        if same := _find_same(self._candidates, found):
            document.layout = same.layout.name
            self._save(lambda present: _merged(same, found, present))
            return document
        saved = self._save(lambda present: self._added(found, present))
        document.layout = saved.name if saved else ""
        kept = f"; it is now remembered as {saved.name}" if saved else ""
        if self._candidates:
            document.notes.append(
                f"the columns or signs have another meaning than in {self._candidates[0].source}{kept}"
            )
        elif others := others_of_bank(self._first.bank, self._layouts, ()):
            document.notes.append(f"the layout differs from {_name(others)}{kept}")
        return document

    def _report_unconfirmed(self, document: StatementDocument, *, was_tried: bool) -> StatementDocument:
        if was_tried and not self._agree:
            names = " and ".join(sorted(each.layout.name for each in self._candidates))
            forget = "if one is out of date, remove it: inboxd layouts forget NAME"
            document.doubts.append(f"the remembered layouts {names} fit, but contradict each other; {forget}")
        elif was_tried:
            document.doubts.append(f"the columns of {self._candidates[0].source} do not fit and were not used")
        elif self._candidates and self._agree:
            document.layout = self._candidates[0].layout.name
            self._touch(self._candidates[0].layout)
        elif others := others_of_bank(self._first.bank, self._layouts, ()):
            document.doubts.append(f"the layout differs from {_name(others)}, and no balance confirms it")
        return document

    def _added(self, found: RememberedLayout, present: Sequence[RememberedLayout]) -> RememberedLayout:
        """A new layout, unless another worker has just learned the same."""
        same = _find_same(find_candidates(self._first, present), found)
        return _merged(same, found, present) if same else _renamed(found, self._memory.store.free_name(found.name))

    def _touch(self, layout: RememberedLayout) -> None:
        if layout.used < self._memory.today:
            used = {"used": self._memory.today}
            self._save(
                lambda present: next((x.model_copy(update=used) for x in present if x.name == layout.name), None)
            )

    def _save(self, decide: Callable[[Sequence[RememberedLayout]], RememberedLayout | None]) -> RememberedLayout | None:
        if not self._memory.learns:
            return None
        try:
            return self._memory.store.change(decide)
        except OSError as error:
            log.warning("cannot remember a layout in %s: %s", self._memory.store.folder, error.strerror or error)
            return None


def is_proven(document: StatementDocument) -> bool:
    """True if balances confirm every statement of a document, but for a few misread digits."""
    found = [confirmation(statement) for statement in document.statements]
    contradicted, rows = sum(each.contradicted for each in found), sum(each.rows for each in found)
    few = contradicted <= _MOST_CONTRADICTED * rows
    return bool(document.rows) and few and all(is_confirmed(statement) for statement in document.statements)


def _may_replace(other: StatementDocument, best: StatementDocument) -> bool:
    """True if nothing contradicts `other`, and balances confirm as much of it as of `best`."""
    found = [confirmation(statement) for statement in other.statements]
    weights = [sum(confirmation(statement).weight for statement in each.statements) for each in (other, best)]
    return bool(other.rows) and not any(each.contradicted for each in found) and weights[0] >= weights[1]


def _tell_source(candidate: Candidate, document: StatementDocument) -> None:
    document.layout = candidate.layout.name
    document.notes.append(f"the columns are those of {candidate.source}")


def _find_same(candidates: Sequence[Candidate], found: RememberedLayout) -> Candidate | None:
    """The candidate that reads pages as `found` does; one of them may know more columns."""
    return next((each for each in candidates if each.here.covers(found) or found.covers(each.here)), None)


def _merged(candidate: Candidate, found: RememberedLayout, present: Sequence[RememberedLayout]) -> RememberedLayout:
    """A layout after one more document; `found` itself if the layout was forgotten in the meantime."""
    old = next((each for each in present if each.name == candidate.layout.name), None)
    is_richer = found.covers(candidate.here) and not candidate.here.covers(found)
    return old.confirmed_by(found, is_richer=is_richer) if old else _renamed(found, candidate.layout.name)


def _renamed(layout: RememberedLayout, name: str) -> RememberedLayout:
    return layout.model_copy(update={"name": name})


def _name(others: Sequence[RememberedLayout]) -> str:
    return f"that of earlier statements of this bank (layout {others[0].name})"
