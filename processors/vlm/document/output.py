"""The content of a document, merged from its pages, and its files: Markdown, text, JSON about pages, extracted data."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processors import wellformed
from processors.vlm.assess import AssessedAnswer, Problem, is_empty, json_span, value_probabilities
from processors.vlm.extract import loads
from processors.vlm.prompts import NO_TEXT
from processors.vlm.retry_ladder import PageAttempt, PageResult, Strategy


@dataclass(kw_only=True)
class MergedData:
    """The data of several pages, or of the halves of one."""

    data: Any = None  # None: there was nothing to merge
    conflicts: list[str] = field(default_factory=list)  # "$.total: 12.30 on page 1, 13.20 on page 2"; the first counts


def merge(pages: Sequence[tuple[str, object]]) -> MergedData:
    """Merge (name, data) of pages, such as ("page 1", {…}).

    Lists are concatenated. A later page fills an empty value. If two values differ, the first one is used, and the
    conflict is reported.
    """
    merged = MergedData()
    origins: dict[str, str] = {}
    for name, data in pages:
        merged.data = _merge_values(merged.data, data, "$", name, origins, merged.conflicts)
    return merged


def merge_pages(pages: Sequence[PageResult]) -> MergedData:
    """The data of all pages that have any."""
    found = [(f"page {page.number}", page_data(page.best).data) for page in pages if page.best]
    return merge([(name, data) for name, data in found if data is not None])


def page_data(attempt: PageAttempt) -> MergedData:
    """The data of a page; None if any of it does not fit the schema."""
    if attempt.problem not in (None, Problem.EMPTY):
        return MergedData()
    names = ["upper half", "lower half"] if attempt.strategy is Strategy.HALVES else ["page"]
    good = [
        (name, part) for name, part in zip(names, attempt.parts, strict=True) if part.problem in (None, Problem.EMPTY)
    ]
    return merge([(name, loads(_json_text(part))) for name, part in good])


def page_text(attempt: PageAttempt) -> str:
    """The text of a page; halves without text are omitted."""
    texts = [part.answer.text for part in attempt.parts if part.answer.text]
    with_text = [text for text in texts if text.strip("`. \n") != NO_TEXT]
    return "\n".join(with_text or texts[:1])


def page_probabilities(attempt: PageAttempt) -> dict[str, float]:
    """The probability of each extracted value by JSON pointer; that of a value in the second half is below /lower."""
    found = {}
    for part, prefix in zip(attempt.parts, ("", "/lower"), strict=False):
        if part.problem in (None, Problem.EMPTY):
            start, _ = json_span(part.answer.text)
            values = value_probabilities(part.answer.text, part.answer.token_probabilities, start)
            found.update({f"{prefix}{pointer}": probability for pointer, probability in values.items()})
    return found


def markdown(pages: Sequence[PageResult]) -> str:
    """The answers about the pages as Markdown. For several pages, an invisible marker precedes each answer."""
    if len(pages) == 1:
        return f"{_shown(pages[0])}\n"
    blocks = []
    for page in pages:
        blocks.append(f"<!-- page {page.number} of {len(pages)} -->")
        blocks.append(_shown(page))
    return "\n\n".join(blocks) + "\n"


def _shown(page: PageResult) -> str:
    return page_text(page.best) if page.best else f"*This page could not be read: {page.error}*"


def plain(pages: Sequence[PageResult]) -> str:
    """The answers as plain text, with a form feed between two pages."""
    texts = [page_text(page.best) if page.best else "[this page could not be read]" for page in pages]
    return "\f".join(f"{text}\n" for text in texts)


def write_json(path: Path, content: dict[str, object]) -> str:
    """Write the file and return its name."""
    path.write_text(wellformed.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path.name


def page_json(page: PageResult) -> dict[str, object]:
    """All facts about a page, for NAME.pages.json."""
    best = page.best
    if best is None:
        return {"number": page.number, "error": page.error}
    first = best.parts[0].answer
    return {
        "number": page.number,
        "answer": best.text,
        "problem": best.problem,
        **_numbers(best),
        "value_probabilities": page_probabilities(best) or None,
        "size_seen": list(first.size_seen) if first.size_seen else None,
        "source_size": list(page.source_size) if page.source_size else None,
        "notes": list(page.notes),
        "asked": [_attempt_json(attempt) for attempt in page.attempts],
    }


def _attempt_json(attempt: PageAttempt) -> dict[str, object]:
    return {
        "strategy": attempt.strategy,
        "problem": attempt.problem,
        "details": [part.detail for part in attempt.parts if part.detail],
        "answers": [part.answer.raw or part.answer.text for part in attempt.parts],
        **_numbers(attempt),
    }


def _numbers(attempt: PageAttempt) -> dict[str, object]:
    answers = [part.answer for part in attempt.parts]
    return {
        "stop_reason": attempt.stop_reason,
        "tokens": sum(answer.tokens for answer in answers),
        "prompt_tokens": sum(answer.prompt_tokens for answer in answers),
        "lowest_token_probability": attempt.lowest_token_probability,
    }


def _json_text(part: AssessedAnswer) -> str:
    start, end = json_span(part.answer.text)
    return part.answer.text[start:end]


def _merge_values(
    old: object, new: object, path: str, name: str, origins: dict[str, str], conflicts: list[str]
) -> object:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = dict.fromkeys([*old, *new])
        return {
            key: _merge_values(old.get(key), new.get(key), f"{path}.{key}", name, origins, conflicts) for key in keys
        }
    if isinstance(old, list) and isinstance(new, list):
        return old + new
    if is_empty(new) and old is not None:
        return old
    if is_empty(old):
        origins[path] = name
        return new
    if old != new:
        conflicts.append(f"{path}: {old} on {_origin(path, origins)}, {new} on {name}")
    return old


def _origin(path: str, origins: dict[str, str]) -> str:
    """The page that the value at `path` comes from, as recorded for the value or for the list or object around it."""
    while path not in origins:
        path = path.rpartition(".")[0]
        if not path:
            return "an earlier page"
    return origins[path]
