"""Compare rows as read with rows as drawn: count correct rows, and flagged rows among the wrong ones."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import SequenceMatcher
from typing import Any

from rapidfuzz import fuzz

from benchmarks.heldout.ledger import Truth, TruthAccount

_SAME_TEXT = {"clean": 99.0, "scan": 85.0}  # percent of the letters, without spaces; a scan may lose an accent


@dataclass
class Score:
    drawn: int = 0  # rows
    right: int = 0  # page, date, debit, credit, balance, text and account are as drawn
    wrong: int = 0  # rows that were not drawn, or differ from the drawn row
    wrong_flagged: int = 0
    lost: int = 0  # drawn rows without a row in the result
    lost_told: int = 0  # in a document with a review
    false_alarms: int = 0  # correct rows that are flagged
    silent: int = 0  # documents with an error and without a review

    def __iadd__(self, other: "Score") -> "Score":
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)
        return self


def compare(
    truths: Sequence[TruthAccount], read: dict[str, Any], review: Sequence[str], kind: str
) -> tuple[Score, list[str]]:
    """The score of one document, and each difference in words. `read` is the JSON that the recipe wrote."""
    drawn = [(account.ledger.account, row) for account in truths for row in account.rows]
    got = [(statement["account"], row) for statement in read["statements"] for row in statement["rows"]]
    score, told = Score(drawn=len(drawn)), []
    keys = [_truth_key(*each, len(truths)) for each in drawn], [_read_key(*each, len(truths)) for each in got]
    _match_order(drawn, got, *keys)
    for operation, a, b, c, d in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if operation == "equal":
            for (_, one), (_, other) in zip(drawn[a:b], got[c:d], strict=True):
                _judge(score, told, one, other, _is_same_text(one.text, other, kind))
            continue
        for (_, one), (_, other) in zip(drawn[a:b], got[c:d], strict=False):
            _judge(score, told, one, other, False)
        for _, one in drawn[a + d - c : b]:
            score.lost += 1
            score.lost_told += bool(review)
            told.append(f"lost: {_show(one)}")
        for _, other in got[c + b - a : d]:
            score.wrong += 1
            score.wrong_flagged += bool(other["flags"])
            told.append(f"not drawn: {_show_read(other)}")
    score.silent = int(score.right < score.drawn and not review)
    return score, told


def _match_order(drawn: list, got: list, drawn_keys: list, got_keys: list) -> None:
    """If the result has each row once, but in another order (by time, not by section), use the drawn order."""
    if len(set(drawn_keys)) == len(drawn_keys) == len(got_keys) and set(drawn_keys) == set(got_keys):
        places = [got_keys.index(key) for key in drawn_keys]
        got[:], got_keys[:] = [got[place] for place in places], list(drawn_keys)


def _judge(score: Score, told: list[str], one: Truth, other: dict[str, Any], is_right: bool) -> None:
    if is_right:
        score.right += 1
        score.false_alarms += bool(other["flags"])
        if other["flags"]:
            told.append(f"false alarm: {_show_read(other)}")
        return
    score.wrong += 1
    score.wrong_flagged += bool(other["flags"])
    told.append(f"wrong: {_show(one)}\n    as: {_show_read(other)}")


def _truth_key(account: str, row: Truth, accounts: int) -> tuple[Any, ...]:
    return account[-4:] if accounts > 1 else "", row.page, row.day, row.debit, row.credit, row.balance


def _read_key(account: str, row: dict[str, Any], accounts: int) -> tuple[Any, ...]:
    day = date.fromisoformat(row["date"]) if row["date"] else None
    amounts = (None if row[name] is None else Decimal(row[name]) for name in ("debit", "credit", "balance"))
    return account[-4:] if accounts > 1 else "", row["page"], day, *amounts


def _is_same_text(wanted: str, row: dict[str, Any], kind: str) -> bool:
    """Accept a reference that was cut from the beginning or the end of the description."""
    text, reference = row["description"], row["reference"]
    both = max(fuzz.ratio(_letters(wanted), _letters(each)) for each in (text + reference, reference + text))
    return both >= _SAME_TEXT[kind]


def _letters(text: str) -> str:
    return re.sub(r"\s", "", text).lower()


def _show(row: Truth) -> str:
    return f"p{row.page} {row.day} {row.text!r} -{row.debit} +{row.credit} ={row.balance}"


def _show_read(row: dict[str, Any]) -> str:
    text = f"{row['reference']}|{row['description']}"
    return f"p{row['page']} {row['date']} {text!r} -{row['debit']} +{row['credit']} ={row['balance']} {row['flags']}"
