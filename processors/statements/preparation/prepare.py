"""All changes to the words of a document before it is read, in their order. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from processors.statements.notation.words import PageWords
from processors.statements.preparation.check_marks import remove_check_marks
from processors.statements.preparation.compact_dates import add_date_marks
from processors.statements.preparation.leaders import remove_leaders
from processors.statements.preparation.no_decimals import add_decimals, lacks_decimals, without_decimals
from processors.statements.preparation.side_letters import join_side_letters
from processors.statements.preparation.three_decimals import has_three_decimals, multiply_by_ten, with_three_decimals
from processors.statements.preparation.vertical_text import drop_vertical_text
from processors.statements.records import StatementDocument


@dataclass(frozen=True)
class PreparedPages:
    """Pages without leaders, check boxes and vertical text; with separators in dates, and two decimals in amounts."""

    pages: Sequence[PageWords]
    restore: Callable[[StatementDocument], StatementDocument]  # the document with its amounts as printed


def prepare_pages(pages: Sequence[PageWords]) -> PreparedPages:
    pages = join_side_letters(add_date_marks(remove_leaders(remove_check_marks(drop_vertical_text(pages)))))
    if has_three_decimals(pages):
        return PreparedPages(multiply_by_ten(pages), with_three_decimals)
    if lacks_decimals(pages):
        return PreparedPages(add_decimals(pages), without_decimals)
    return PreparedPages(pages, lambda document: document)
