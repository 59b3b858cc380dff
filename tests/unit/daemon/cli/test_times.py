"""Times as people write them after --since."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from daemon.cli import times
from daemon.core.errors import UsageError

_ZONE = timezone(timedelta(hours=0), "UTC")
_NOW = datetime(2026, 3, 2, 15, 30, tzinfo=_ZONE)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90m", datetime(2026, 3, 2, 14, 0, tzinfo=UTC)),
        ("3h", datetime(2026, 3, 2, 12, 30, tzinfo=UTC)),
        ("3 hours ago", datetime(2026, 3, 2, 12, 30, tzinfo=UTC)),
        ("2 days", datetime(2026, 2, 28, 15, 30, tzinfo=UTC)),
        ("1w", datetime(2026, 2, 23, 15, 30, tzinfo=UTC)),
    ],
)
def test_span_counts_back_from_now(text: str, moment: datetime):
    assert times.moment(text, _NOW) == moment


def test_days_begin_at_local_midnight():
    local = datetime(2026, 3, 2).astimezone()
    now = local.replace(hour=15)
    assert times.moment("today", now) == local
    assert times.moment("Yesterday", now) == datetime(2026, 3, 1).astimezone()


@pytest.mark.parametrize("text", ["", "tomorrow", "h", "3", "-3h", "3h5", "99999d"])
def test_other_words_are_refused(text: str):
    with pytest.raises(UsageError, match="yesterday"):
        times.moment(text, _NOW)
