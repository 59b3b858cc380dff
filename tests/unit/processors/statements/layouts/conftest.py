"""Typed statements of invented banks, and what is remembered of them."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from typed_pages import typed_page

from processors.statements import LayoutMemory, LayoutStore, StatementDocument, read_statements, verify

TODAY = date(2026, 3, 1)


class Reader:
    """Reads typed statements with one memory."""

    def __init__(self, folder: Path):
        self.store = LayoutStore(folder)
        self.memory = LayoutMemory(self.store, TODAY)

    def __call__(self, *texts: str, shift: int = 0, scale: float = 1.0, **about: object) -> StatementDocument:
        pages = [typed_page(text, number) for number, text in enumerate(texts, start=1)]
        memory = LayoutMemory(self.store, about.pop("today", TODAY), **about)
        document = read_statements([_moved(page, shift, scale) for page in pages], memory)
        verify(document)
        return document

    @property
    def names(self) -> list[str]:
        return [layout.name for layout in self.store.load()[0]]


def _moved(page, shift: int, scale: float):
    from dataclasses import replace

    words = [
        replace(
            word,
            left=scale * word.left + shift,
            right=scale * word.right + shift,
            top=scale * word.top,
            bottom=scale * word.bottom,
        )
        for word in page.words
    ]
    return replace(page, words=tuple(words))


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., StatementDocument]:
    return Reader(tmp_path / "state" / "layouts")
