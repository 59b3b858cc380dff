"""A plugin of pytest that records the lines of daemon/ that each test executes, for `rig`. Threads count; the lines of
other processes do not. Environment variable: INBOXD_RECORD, the JSON file to write."""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

_DAEMON = f"{Path(__file__).parents[2]}/daemon/"


class LineRecorder:
    """tests: seconds and lines (module:line) of each test, by its node ID."""

    def __init__(self) -> None:
        self.tests: dict[str, dict[str, Any]] = {}
        self._lines: set[tuple[str, int]] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._lines, began = set(), time.monotonic()
        threading.settrace(self._on_call)
        sys.settrace(self._on_call)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
            lines = sorted(f"{path.removeprefix(_DAEMON)}:{line}" for path, line in self._lines.copy())
            self.tests[item.nodeid] = {"seconds": time.monotonic() - began, "lines": lines}

    def pytest_sessionfinish(self) -> None:
        Path(os.environ["INBOXD_RECORD"]).write_text(json.dumps(self.tests))

    def _on_call(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._on_line if frame.f_code.co_filename.startswith(_DAEMON) else None

    def _on_line(self, frame: FrameType, event: str, argument: object) -> Any:
        self._lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._on_line


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(LineRecorder())
