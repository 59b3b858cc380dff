"""The filters of `inboxd jobs`."""

import time

import pytest

from daemon.cli import jobs
from daemon.core.errors import UsageError


@pytest.mark.parametrize(
    ("zone", "since"), [("UTC-5", "2026-03-01"), ("UTC", "2026-02-28T19:00"), ("UTC", "2026-03-01T00:00+05:00")]
)
def test_since_is_in_local_time_unless_it_names_a_zone(zone: str, since: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert jobs.to_microseconds(since) == 1_772_305_200_000_000
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "3 moons", "2026-13-01", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"]
)
def test_invalid_date_is_refused_with_an_example(text: str):
    with pytest.raises(UsageError, match="2026-11-23 18:00"):
        jobs.to_microseconds(text)
