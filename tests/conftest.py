"""The order of the test modules, and a place for the tests that drop files; see sandbox.py."""

import functools
import gc
import os
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sandbox import Place

from processors import malloc

if TYPE_CHECKING:
    from web_process import WebProcess

# The modules that take the most CPU time, or wait longest, in the order in which they start; the others follow. Those
# that compute stand beside those that wait for daemons, so that four processes keep two cores busy.
_LONGEST = (
    "test_seek_loop.py",
    "test_browser.py",
    "test_ocr.py",
    "test_workers.py",
    "test_whisper.py",
    "test_power_cut.py",
    "test_limits.py",
    "test_life_cycle.py",
    "test_samples.py",
    "test_graphed_greedy.py",
    "test_crash_points.py",
    "test_text_hostile.py",
    "test_decoding.py",
    "test_chaos.py",
    "test_hard_recordings.py",
    "test_fuzzed_sidecars.py",
    "test_vlm",
    "test_no_speech.py",
    "test_lost_events.py",
    "test_text_layer.py",
    "test_encodings.py",
    "test_whisper_worker.py",
    "test_group_member.py",
    "test_mixed_pages.py",
    "test_injected_errors.py",
    "test_languages.py",
    "test_order.py",
    "test_fast.py",
    "test_bombs.py",
    "test_several_files.py",
    "test_detection.py",
    "test_speakers.py",
    "test_cli.py",
    "test_tracks_and_formats.py",
    "test_options_nearby.py",
    "test_web_compat.py",
    "test_state_machine.py",
    "test_soak.py",
    "test_worker_memory.py",
    "test_clock_steps.py",
    "test_web.py",
    "test_reload.py",
    "test_upkeep.py",
    "test_hooks.py",
)

_GROWTH_BYTES = 200_000_000  # of a test process, until it returns memory: that takes 0.1 s of CPU time

_BASE_BYTES = pytest.StashKey[int]()  # resident after the collection of the tests, or after memory was returned

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the test processes share the cores
# Without saved bytecode, every worker of every daemon would compile the same modules again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


gc.disable()  # while all modules are imported: nothing of that becomes garbage, and looking for it takes 1.3 s


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest modules first: at the end, the others would wait for them."""
    items.sort(key=lambda item: _place_in_line(item.path.name))


@functools.cache
def _place_in_line(module: str) -> int:
    return next((at for at, name in enumerate(_LONGEST) if module.startswith(name)), len(_LONGEST))


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.freeze()  # each collection would look at half a million objects of the tests
    gc.enable()
    session.stash[_BASE_BYTES] = _resident_bytes()


@pytest.hookimpl(trylast=True)  # once the fixtures have ended
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Return the memory of a module with models: models refer to themselves, and OCR has malloc keep what is freed."""
    is_last_of_module = nextitem is None or nextitem.path != item.path
    if is_last_of_module and _resident_bytes() > item.session.stash[_BASE_BYTES] + _GROWTH_BYTES:
        gc.collect()
        malloc.give_back()
        item.session.stash[_BASE_BYTES] = _resident_bytes()


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A place for plain text, which needs no model."""
    with Place(tmp_path) as made:
        yield made


@pytest.fixture
def make_place(tmp_path: Path) -> Iterator[Callable[[str], Place]]:
    """Make a place with the config.toml of the test."""
    made: list[Place] = []

    def make(toml: str) -> Place:
        made.append(Place(tmp_path, toml))
        return made[-1]

    yield make
    for each in made:
        each.stop_all()


@pytest.fixture(scope="module")
def web_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A running daemon with the settings of `inboxd web`, for all tests of a module."""
    from web_process import TOML

    with Place(tmp_path_factory.mktemp("web_place"), TOML) as made:
        made.start()
        yield made


@pytest.fixture(scope="module")
def web(web_place: Place) -> "WebProcess":
    """`inboxd web` beside the daemon of `web_place`."""
    from web_process import WebProcess

    return WebProcess(web_place)
