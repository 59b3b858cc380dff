"""The live view of `inboxd run` and `inboxd process`."""

import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from bench import TABLES, Bench
from rich.console import Console

from daemon import config
from daemon.cli.terminal import LiveView


@pytest.fixture
def bench(tmp_path: Path):
    recipes = {**TABLES["recipes"], "other": {"processor": "plaintext", "python": "/usr/bin/python3"}}
    tables = {**TABLES, "recipes": recipes, "inbox": {**TABLES["inbox"], "folders": {"other": {"text": "other"}}}}
    made = Bench(config.parse(tables, source=None, home=tmp_path))
    yield made
    made.store.close()


def _shown(bench: Bench) -> str:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    view = LiveView(console)
    view.on_change(SimpleNamespace(app=bench.app))
    console.print(view._live.get_renderable())
    return console.file.getvalue()


def test_running_job_is_shown_with_its_progress(bench: Bench):
    bench.begin("x.txt")
    bench.report_progress(1, bench.job("x.txt"))
    assert "1 running" in _shown(bench) and "x.txt plaintext" in _shown(bench) and "1 of 2 pages" in _shown(bench)


def test_two_loading_workers_of_one_processor_are_shown_with_their_own_progress(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    (bench.settings.inbox / "other").mkdir()
    bench.drop("x.txt", "other/y.txt")
    for number, worker in enumerate(bench.workers):
        monkeypatch.setattr(worker.connection, "pid", 100 + number)
    bench.report_progress(1, None, done=0.0)
    bench.report_progress(2, None, done=2.0)
    shown = _shown(bench)
    assert shown.count("plaintext is loading") == 2
    assert "0 of 2 pages" in shown and "2 of 2 pages" in shown
