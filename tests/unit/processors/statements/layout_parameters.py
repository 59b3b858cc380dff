"""The layouts of the invented banks as parameters of a test."""

import pytest
from _pytest.mark import ParameterSet

from benchmarks.statement_pages.layouts import LAYOUTS


def each_layout(*fast: str) -> list[ParameterSet]:
    """All layouts; those that are not named in `fast` run in the slow round only."""
    return [
        pytest.param(layout, id=layout.name, marks=() if layout.name in fast else pytest.mark.slow)
        for layout in LAYOUTS
    ]
