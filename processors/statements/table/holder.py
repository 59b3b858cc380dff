"""The holder of an account: by a label, a form of address, or as the name above an address. Pure.

Without any of these, the holder is not guessed, because the bank's own name and the titles of the page also look like
names. The names of joint holders on lines of their own are joined.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence

from processors.statements.notation.keywords import normalize
from processors.statements.notation.words import PageWord, TextLine, join_words, line_height, split_cells
from processors.statements.table.holder_words import (
    ACCOUNT_LINE,
    AND,
    BARE_TITLE,
    BEGINS_WITH_AND,
    CAPITAL,
    CARD,
    ENDS_WITH_AND,
    GREETING,
    HONORIFIC,
    LABEL,
    LABELLED,
    NAMES_ACCOUNT,
    NEXT_LABEL,
    NUMBER_BEHIND,
    OF_PERSON,
    ONLY_ADDRESSES,
    PRODUCT,
    TITLE,
    TITLE_FOR,
)
from processors.statements.table.names import is_address, is_company, is_labelled_name, is_name, is_place

Cell = Sequence[PageWord]
Rows = Sequence[Sequence[tuple[PageWord, ...]]]  # the cells of each line

_LABEL_GAP = 1.2  # line heights between the words of one label
_ALIGNED = 0.7  # line heights by which the left edges of the lines of an address differ
_BELOW = 2.0  # line heights between two lines of an address
_NEAR = 1.2  # line heights between the names of joint holders
_NEAR_LABEL = 3  # lines from a label to what is below it
_NEAR_NAME = 2  # lines from a name to the first line of its address
_MOST_JOINT = 2  # further lines with names
_LEAST_STEM = 5  # letters of a surname without its ending
_LEAST_SURNAME = 3  # letters of a word that two names share
_MOST_NAME_WORDS = 6  # with an honorific


def find_holder(lines: Sequence[TextLine]) -> str:
    """The account holder, from the lines outside the tables; "" if nothing shows the name."""
    height = line_height(lines)
    pages = [
        [split_cells(line.words, _LABEL_GAP * height) for line in own]
        for _, own in itertools.groupby(lines, key=lambda line: line.page)
    ]
    rows = [cells for page in pages for cells in page]
    addressed = [*_addressed(rows, height), *(name for page in pages for name in _above_address(page, height))]
    names = itertools.chain(
        _named_by_label(rows, height),
        _above_account(rows, height, addressed),
        addressed,
        _beside_account(rows),
        _before_product(rows),
        _in_title(rows),
        _greeted(rows),
        _companies(rows),
    )
    return next(filter(None, map(_without_form_of_address, names)), "")


def _without_form_of_address(name: str) -> str:
    """The name without a form of address that is no part of it, such as "Herrn"."""
    title = ONLY_ADDRESSES.match(_plain(name))
    rest = name[title.end() :].strip() if title else ""
    return rest if rest[:1].isupper() else name


def _named_by_label(rows: Rows, height: float) -> Iterator[str]:
    """The names after a label, in the next cell, or below it where the next cell is a label, too."""
    for at, cells in enumerate(rows):
        for cell, following in zip(cells, [*cells[1:], None], strict=False):
            number, below = _find_below(rows, at, cell, height)
            text = _text(cell)
            match = LABELLED.match(_plain(text))
            is_label = LABEL.fullmatch(_plain(text)) is not None
            if match and not is_label and is_labelled_name(name := _after(text, match)):
                yield name
            elif is_label:
                under = [each for each in below if _overlap(each, cell) and not _looks_like_label(each)]
                is_table = bool(under and following) and _is_label_above(following or (), below)
                beside = [following] if following and not is_table and not _looks_like_label(following) else []
                if beside and is_labelled_name(_text(beside[0])):
                    yield _join(rows, at, beside[0], height, label=cell)
                yield from (
                    _join(rows, number, each, height, label=cell) for each in under if is_labelled_name(_text(each))
                )


def _find_below(rows: Rows, at: int, cell: Cell, height: float) -> tuple[int, Sequence[tuple[PageWord, ...]]]:
    """The next line, or the one near below it that has something below a cell while the next line has not."""
    for number in range(at + 1, min(at + 1 + _NEAR_LABEL, len(rows))):
        if any(_overlap(each, cell) for each in rows[number]):
            is_near = 0 < rows[number][0][0].top - cell[0].bottom < _BELOW * height
            return (number, rows[number]) if is_near or number == at + 1 else (at + 1, rows[at + 1])
    return at + 1, rows[at + 1] if at + 1 < len(rows) else ()


def _join(rows: Rows, at: int, cell: Cell, height: float, *, label: Cell | None = None) -> str:
    """The name in a cell of line `at`, and those of joint holders right below it.

    A further line is that of a joint holder if "and" joins it, if it has a form of address, or if it shares a word
    with the name above. Below a label, any further names are, unless an address follows: they may be a house's.
    """
    names = [_text(cell)]
    block = _lines_below(rows, at, cell, height, most=_NEAR)
    texts = [_text(each) for each in block]
    has_address = any(map(is_address, texts[: _MOST_JOINT + 1]))
    for number, text in enumerate(texts[:_MOST_JOINT]):
        joins = ENDS_WITH_AND.fullmatch(_plain(names[-1])) or BEGINS_WITH_AND.match(_plain(text))
        rest = text[match.end() :] if (match := BEGINS_WITH_AND.match(_plain(text))) else text
        title = TITLE.match(_plain(rest))
        bare = rest[title.end() :].strip() if title else rest
        if not is_name(bare, least=1 if title or joins else 2) or is_place(bare):
            break
        is_free = label is not None and not has_address and not _is_field(rows, block[number], label)
        if not (joins or (title and TITLE.match(_plain(names[0]))) or _is_of_firm(names[0], bare) or is_free):
            break
        names.append(text)
    joined = " ".join(names)
    return joined if len(names) > 1 else _without_and(joined)


def _without_and(name: str) -> str:
    return re.sub(rf"\s{AND}$", "", name, flags=re.IGNORECASE)


def _is_of_firm(name: str, other: str) -> bool:
    """True if the first is a firm's name, or if both share a surname."""
    words = [{word for word in _plain(each).split() if len(word) >= _LEAST_SURNAME} for each in (name, other)]
    stems = [{word[:-1] for word in each if len(word) > _LEAST_STEM} for each in words]  # Kowalski, Kowalska
    return is_company(name) or bool(words[0] & words[1] or stems[0] & stems[1])


def _is_field(rows: Rows, cell: Cell, label: Cell) -> bool:
    """True if something is left of a cell in the column of the label, or if that is no label above: a further field."""
    own = next(cells for cells in rows if any(each is cell for each in cells))
    is_above = _overlap(label, cell)
    return not is_above and any(each is not cell and _overlap(each, label) for each in own)


def _is_label_above(cell: Cell, below: Sequence[Cell]) -> bool:
    """True for a cell that is no name and has a value below it."""
    return not is_name(_text(cell)) and any(_overlap(each, cell) for each in below)


def _overlap(cell: Cell, other: Cell) -> bool:
    return cell[0].left < other[-1].right and other[0].left < cell[-1].right


def _addressed(rows: Rows, height: float) -> Iterator[str]:
    """The names with a form of address before or behind them, or on the line above."""
    for at, (cells, below) in enumerate(zip(rows, [*rows[1:], []], strict=False)):
        for cell in cells:
            text = _text(cell)
            title = TITLE.match(_plain(text))
            card = CARD.search(text)
            number = card[0] if card else ""
            rest = text[title.end() :].removesuffix(number).strip() if title else ""
            if HONORIFIC.search(unicodedata.normalize("NFKC", join_words(cell))) and len(cell) <= _MOST_NAME_WORDS:
                yield text
            elif BARE_TITLE.fullmatch(_plain(text)):
                named = [each for each in below if _is_aligned(cell, each, height) and is_name(_text(each))]
                yield from (_join(rows, at + 1, each, height) for each in named)
            elif title and CAPITAL.match(text) and is_name(_without_and(rest), least=1):
                yield text.removesuffix(number) if number else _join(rows, at, cell, height)


def _above_address(rows: Rows, height: float) -> Iterator[str]:
    """The names right above a line of an address: the lowest of a page first, since the bank's own address is above."""
    found = []
    covered: set[int] = set()  # the ids of the first words of cells below a name, in its address
    for at, cells in enumerate(rows):
        for cell in cells:
            block = [] if id(cell[0]) in covered else _lines_below(rows, at, cell, height)
            texts = [_text(each) for each in block[: _NEAR_NAME + 1]]
            if not is_name(_text(cell)) or not any(map(is_address, texts[:_NEAR_NAME])):
                continue
            name = _join(rows, at, cell, height)
            is_below = is_name(texts[0]) and any(map(is_address, texts[1:])) and not is_place(texts[0])
            if name != _text(cell) or not is_below:  # otherwise, the name itself is below
                found.append(name)
                covered |= {id(each[0]) for each in block}
    yield from reversed(found)


def _above_account(rows: Rows, height: float, addressed: Sequence[str]) -> Iterator[str]:
    """The names right above the number of a person, or above the number of the account if they share a word with a
    name in an address: otherwise, they may be those of a product."""
    others = {each: {word for word in _plain(each).split() if len(word) >= _LEAST_SURNAME} for each in addressed}
    for at, cells in enumerate(rows):
        for cell in cells:
            name = _text(cell)
            _, below = _find_below(rows, at, cell, height) if is_name(name) else (0, ())
            near = [each for each in below if 0 < each[0].top - cell[0].bottom < _NEAR * height]
            texts = [_plain(_text(each)) for each in near if _overlap(cell, each)]
            is_known = any(each != name and words & set(_plain(name).split()) for each, words in others.items())
            if (is_known and any(map(ACCOUNT_LINE.match, texts))) or any(map(OF_PERSON.search, texts)):
                yield name


def _beside_account(rows: Rows) -> Iterator[str]:
    """The names left of the number of the account, if they are there on several pages."""
    names = [_text(cells[0]) for cells in rows if len(cells) > 1 and NAMES_ACCOUNT.search(_plain(_text(cells[1])))]
    yield from (name for name in dict.fromkeys(names) if names.count(name) > 1 and is_name(name))


def _before_product(rows: Rows) -> Iterator[str]:
    """The names before a comma and a kind of account, such as "Leonhard Huber, Gehaltskonto", or their own mail
    address."""
    for cells in rows:
        for cell in cells:
            name, _, behind = _text(cell).partition(",")
            user, at, _ = _plain(behind).strip().partition("@")
            is_mail = bool(at) and bool(name) and _plain(name).split()[-1] in user
            if (is_mail or PRODUCT.search(_plain(behind))) and is_name(name):
                yield name


def _in_title(rows: Rows) -> Iterator[str]:
    """The names in titles such as "Statement for Maria Clark"."""
    for cell in itertools.chain.from_iterable(rows):
        if match := TITLE_FOR.match(_plain(_text(cell))):
            name = " ".join(_text(cell).split()[len(match[0].split()) :])
            yield from [name] if is_name(name) else []


def _greeted(rows: Rows) -> Iterator[str]:
    """The complete names of a person who is greeted by one of them, as in "Hello Maria,"."""
    texts = [_text(cell) for cells in rows for cell in cells]
    greeted = {match["name"] for text in texts if (match := GREETING.match(_plain(text)))}
    yield from (text for text in texts if greeted & set(_plain(text).split()) and is_name(text))


def _companies(rows: Rows) -> Iterator[str]:
    """The names of companies that are not banks, below the first line, which belongs to the bank."""
    for cells in rows[1:]:
        yield from (_text(cell) for cell in cells if len(cell) > 1 and is_name(_text(cell)) and is_company(_text(cell)))


def _lines_below(rows: Rows, at: int, cell: Cell, height: float, *, most: float = _BELOW) -> list[tuple[PageWord, ...]]:
    """The cells right below one another, from that below `cell` on, with the same left edge.

    most: line heights between two of them.
    """
    found: list[tuple[PageWord, ...]] = []
    last = cell
    for cells in rows[at + 1 :]:
        under = next((each for each in cells if _is_aligned(last, each, height)), None)
        top = min(word.top for each in cells for word in each)
        if not 0 < top - last[0].bottom + height < (most + 1) * height:
            break
        if under is None:
            if any(_overlap(each, last) for each in cells):
                break
            continue  # a line of the text beside the address
        found.append(under)
        last = under
    return found


def _is_aligned(cell: Cell, other: Cell, height: float) -> bool:
    return abs(cell[0].left - other[0].left) < _ALIGNED * height


def _looks_like_label(cell: Cell) -> bool:
    return re.search(r"sort ?code|account|number|iban|bic|nr\.?$|no\.?$|:$", _plain(_text(cell))) is not None


def _text(cell: Sequence[PageWord]) -> str:
    """The text of a cell without stars and colons around it, and without 様."""
    text = unicodedata.normalize("NFKC", join_words(cell)).strip(" *:|·•")
    return NUMBER_BEHIND.sub("", HONORIFIC.sub("", text)) if len(text) > 2 else text


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", normalize(text))


def _after(text: str, match: re.Match[str]) -> str:
    """The name in its original letters, some of which `_plain` may have replaced."""
    label, colon, name = text.partition(":")
    if colon and LABEL.fullmatch(_plain(label)):
        return NEXT_LABEL.split(name)[0].strip()
    return " ".join(text.split()[-len(match["name"].split()) :])
