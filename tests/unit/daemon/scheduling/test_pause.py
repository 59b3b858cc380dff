"""A pause by command, and the active hours."""

from datetime import datetime
from pathlib import Path
from typing import Any

from daemon import config
from daemon.config.current import CurrentSettings
from daemon.scheduling.pause import Pause

ACTIVE = {"schedule": {"active": "22:00-06:00"}}


def _settings(home: Path, tables: dict[str, Any] | None = None) -> CurrentSettings:
    (home / "state").mkdir(exist_ok=True)
    return CurrentSettings(config.parse(tables or {}, source=None, home=home))


def _at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-28 {text}")


def test_no_work_is_started_outside_the_active_hours(tmp_path: Path):
    now = [_at("21:00")]
    pause = Pause(_settings(tmp_path, ACTIVE), now=lambda: now[0])
    assert "work continues at 22:00" in pause.reason
    now[0] = _at("22:00")
    assert pause.reason is None


def test_hours_of_new_settings_apply_at_once(tmp_path: Path):
    settings = _settings(tmp_path)
    pause = Pause(settings, now=lambda: _at("21:00"))
    assert pause.reason is None
    settings.replace(_settings(tmp_path, ACTIVE).value)
    assert "Outside the active hours" in pause.reason


def test_pause_outlives_the_daemon_until_it_is_resumed(tmp_path: Path):
    settings = _settings(tmp_path)
    Pause(settings).pause("a game")
    later = Pause(settings)
    assert "a game" in later.reason and "inboxd resume" in later.reason
    later.resume()
    later.resume()
    assert later.reason is None and Pause(settings).reason is None


def test_second_pause_replaces_the_comment(tmp_path: Path):
    settings = _settings(tmp_path)
    pause = Pause(settings)
    pause.pause("a game")
    pause.pause("another game")
    assert "another game" in Pause(settings).reason


def test_pause_is_ignored_on_request(tmp_path: Path):
    settings = _settings(tmp_path)
    Pause(settings).pause("")
    assert Pause(settings, ignored=True).reason is None
