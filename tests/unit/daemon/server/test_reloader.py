"""Reloading config.toml: all parts apply it, or none does."""

from pathlib import Path
from typing import Any

import pytest
from manual_daemon import ManualDaemon

from daemon import config
from daemon.config.settings import Settings
from daemon.core.errors import ConfigError

TOML = """
[inbox]
text = "count"
settle_seconds = 3.0
[recipes.count]
processor = "plaintext"
"""


@pytest.fixture
def daemon(tmp_path: Path):
    (tmp_path / "config.toml").write_text(TOML)
    made = ManualDaemon(config.load(tmp_path / "config.toml"))
    yield made
    made.store.close()


def _write(daemon: ManualDaemon, toml: str) -> None:
    daemon.settings.source.write_text(toml)


def test_new_settings_are_in_force_in_all_parts(daemon: ManualDaemon):
    applied: list[Settings] = []
    daemon.app.settings.subscribe(applied.append)
    _write(daemon, TOML.replace("3.0", "5.0"))
    assert "settle_seconds" in " ".join(daemon.ask("reload")["changed"])
    assert daemon.app.settings.value.settle_seconds == 5.0
    assert applied == [daemon.app.settings.value]


def test_failure_of_one_part_restores_the_previous_settings_in_all(daemon: ManualDaemon):
    previous, applied = daemon.app.settings.value, []

    def fail_once(settings: Settings) -> None:
        applied.append(settings)
        if len(applied) == 1:
            raise TypeError("of its own")

    daemon.app.settings.subscribe(fail_once)  # after the other parts, which have applied the new ones by then
    _write(daemon, TOML + '[metrics]\nevery = "7s"\n')
    answer = daemon.ask("reload")
    assert not answer["ok"] and "keeps its previous settings" in answer["error"]
    assert daemon.app.settings.value is previous is applied[1]
    assert "keeps its previous settings" in daemon.ask("status")["config_problem"]
    assert daemon.ask("reload")["ok"]
    assert daemon.app.settings.value.metrics.every == 7.0 and daemon.ask("status")["config_problem"] is None


def test_wrong_config_is_refused_and_shown_until_it_is_corrected(daemon: ManualDaemon):
    _write(daemon, "[inbox")
    with pytest.raises(ConfigError, match="not valid TOML"):
        daemon.app.reloader.reload()
    assert "not valid TOML" in daemon.app.status.one_line()
    _write(daemon, TOML)
    assert daemon.app.reloader.reload() == []
    assert daemon.ask("status")["config_problem"] is None


def test_part_that_cannot_restore_is_logged(daemon: ManualDaemon, caplog: pytest.LogCaptureFixture):
    def fail(_: Any) -> None:
        raise TypeError("of its own")

    daemon.app.settings.subscribe(fail)
    _write(daemon, TOML.replace("3.0", "5.0"))
    assert not daemon.ask("reload")["ok"]
    assert "Restart the daemon" in caplog.text
