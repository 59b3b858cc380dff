"""Searches the index: hits by result, newest first, each with a snippet and its place."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.core.errors import UsageError
from daemon.queue.reader import JobLog
from daemon.queue.rows import JobRow
from daemon.search import index, query
from daemon.search.index import FoundPassage, Index
from daemon.search.passages import Place
from daemon.search.query import Term

_PASSAGES = 200  # read at once
_MOST_PASSAGES = 4000  # read for one answer
HITS = 3  # shown of one result
_BEFORE_CHARS, _SNIPPET_CHARS = 60, 220


class NoWords(UsageError):
    """The query contains nothing to search for."""


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A place that matches."""

    parts: Sequence[tuple[str, bool]]  # the snippet, in parts; True: this part matches
    page: int | None
    seconds: float | None  # in the recording
    anchor: str  # of the place in the page of the job; "": none

    @property
    def snippet(self) -> str:
        return "".join(text for text, _ in self.parts)

    @property
    def place(self) -> str:
        """The place for people: "page 3", "1:02:03"; "" if it has none."""
        if self.seconds is None:
            return f"page {self.page}" if self.page is not None else ""
        hours, rest = divmod(max(0, int(self.seconds)), 3600)
        return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


@dataclass(frozen=True, kw_only=True)
class FoundResult:
    """A result with hits."""

    row: JobRow
    hits: Sequence[Hit]
    more: int  # further passages of it that match


@dataclass(frozen=True, kw_only=True)
class Found:
    results: Sequence[FoundResult]
    next: int | None  # position for the next page; None: there is none
    indexed: int  # results in the index
    total: int  # results there are, as far as the job log knows


def search(state: Path, outbox: Path, text: str, *, before: int | None = None, limit: int = 20) -> Found:
    """The newest results that match, from the index as it is.

    Raises:
        NoWords: the query has none.
        UsageError: there is no job log.
        StorageError, StoreError: the job log cannot be read now.
    """
    terms = query.parse(text)
    if not terms:
        raise no_words()
    with JobLog(state / "jobs.db") as log:
        total = log.tallies()["done"]
        opened = index.open_to_read(state / index.NAME)
        if opened is None:
            return Found(results=[], next=None, indexed=0, total=total)
        with opened:
            try:
                looked = _Search(opened, log, outbox, terms, limit)
                looked.run(before)
                return Found(results=list(looked.results()), next=looked.next, indexed=opened.size(), total=total)
            except sqlite3.Error:  # damaged: the next update builds it again
                return Found(results=[], next=None, indexed=0, total=total)


def no_words() -> NoWords:
    return NoWords("The search has no words.", 'Search for words, a "phrase", or the start of a word: bal*')


def facts_of(result: FoundResult) -> dict[str, object]:
    """A result and its hits as JSON. A snippet is a list of parts; those that match are marked."""
    row = result.row
    return {
        **{name: row[name] for name in ("id", "file", "kind", "recipe", "received_at", "result_path")},
        "hits": [
            {
                "page": hit.page,
                "seconds": hit.seconds,
                "snippet": hit.snippet,
                "parts": [{"text": text, "match": is_match} for text, is_match in hit.parts],
            }
            for hit in result.hits
        ],
        "more": result.more,
    }


class _Search:
    def __init__(self, opened: Index, log: JobLog, outbox: Path, terms: Sequence[Term], limit: int):
        self._index = opened
        self._log = log
        self._outbox = outbox
        self._terms = terms
        self._limit = limit
        self._rows: dict[str, JobRow | None] = {}  # None: the result is gone
        self._found: dict[str, list[FoundPassage]] = {}  # by job, in order
        self.next: int | None = None

    def run(self, before: int | None) -> None:
        match = query.to_fts(self._terms)
        for _ in range(_MOST_PASSAGES // _PASSAGES):
            passages = self._index.find(match, before=before, limit=_PASSAGES)
            self._look_up({passage.job for passage in passages} - self._rows.keys())
            for passage in passages:
                if self._rows[passage.job] is None:
                    continue
                if passage.job not in self._found and len(self._found) == self._limit:
                    self.next = before
                    return
                self._found.setdefault(passage.job, []).append(passage)
                before = passage.id
            if len(passages) < _PASSAGES:
                return
            before = passages[-1].id
        self.next = before

    def _look_up(self, jobs: set[str]) -> None:
        rows = {row["id"]: row for row in self._log.some(list(jobs))} if jobs else {}
        for job in jobs:
            row = rows.get(job)
            self._rows[job] = row if row is not None and self._has_result(row) else None

    def _has_result(self, row: JobRow) -> bool:
        return row["state"] == "done" and bool(row["result_path"]) and self._exists(str(row["result_path"]))

    def _exists(self, result_path: str) -> bool:
        return (self._outbox / result_path / "result.json").is_file()

    def results(self) -> Iterator[FoundResult]:
        for job, passages in self._found.items():
            row = self._rows[job]
            assert row is not None
            passages.sort(key=lambda each: each.id)
            hits = [_hit(passage, self._terms) for passage in passages[:HITS]]
            yield FoundResult(row=row, hits=hits, more=len(passages) - len(hits))


def _hit(found: FoundPassage, terms: Sequence[Term]) -> Hit:
    text = found.passage.text
    spans = query.spans(terms, text)
    first = spans[0][0] if spans else 0
    place = _place_at(found.passage.places, first)
    return Hit(parts=list(_snippet(text, spans)), page=found.passage.page, seconds=place.seconds, anchor=place.anchor)


def _place_at(places: Sequence[Place], offset: int) -> Place:
    return max(
        (place for place in places if place.offset <= offset), key=lambda place: place.offset, default=Place(0, "")
    )


def _snippet(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[tuple[str, bool]]:
    """The surroundings of the first match, with all matches in them, in parts; white space as one space."""
    first = spans[0][0] if spans else 0
    start, end = _word_edge(text, max(0, first - _BEFORE_CHARS)), min(len(text), first + _SNIPPET_CHARS)
    if start > 0:
        yield "… ", False
    at = start
    for left, right in spans:
        if right > end:
            break
        yield from (part for part in ((_spaced(text[at:left]), False), (_spaced(text[left:right]), True)) if part[0])
        at = right
    rest = _spaced(text[at:end])
    if rest:
        yield (rest if end == len(text) else f"{rest.rpartition(' ')[0]} …"), False


def _word_edge(text: str, at: int) -> int:
    """The start of the next word, unless that is far."""
    if at == 0:
        return 0
    space = text.find(" ", at, at + _BEFORE_CHARS // 2)
    return at if space < 0 else space + 1


def _spaced(text: str) -> str:
    shown = " ".join(text.split())
    lead, tail = " " if text[:1].isspace() else "", " " if text[-1:].isspace() and shown else ""
    return f"{lead}{shown}{tail}"
