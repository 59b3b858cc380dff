"""A web application on folders of its own; there is no daemon."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from web_site import Site


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[[str], Site]]:
    made: list[Site] = []

    def make(toml: str = "") -> Site:
        made.append(Site(tmp_path, toml))
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture
def site(make_site: Callable[[str], Site]) -> Site:
    return make_site("")
