from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bench import TABLES, Bench

from daemon import config


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**tables: dict[str, Any]) -> Bench:
        merged = {name: {**TABLES[name], **tables.get(name, {})} for name in TABLES}
        made.append(Bench(config.parse(merged, source=None, home=tmp_path)))
        return made[-1]

    yield make
    for each in made:
        each.store.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()
