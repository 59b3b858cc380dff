"""Times as people write them after --since: a date, a time, "yesterday", "3h"."""

import re
from datetime import UTC, datetime, timedelta

from daemon.config.toml import literal
from daemon.core.errors import UsageError

_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGO = re.compile(  # "90m", "3 hours", "2 days ago"
    r"(\d{1,4}) ?(?:(m)(?:in|ins|inutes?)?|(h)(?:rs?|ours?)?|(d)(?:ays?)?|(w)(?:eeks?)?)(?: ago)?"
)
_DAYS = {"today": 0, "yesterday": 1}


def moment(text: str, now: datetime) -> datetime:
    """The moment that `text` names, in UTC. Dates and times without a zone are in the zone of `now`.

    Raises:
        UsageError: it names none.
    """
    words = text.strip().lower()
    if words in _DAYS:
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        return (midnight - timedelta(days=_DAYS[words])).astimezone(UTC)
    if match := _AGO.fullmatch(words):
        return now.astimezone(UTC) - timedelta(seconds=int(match[1]) * _SECONDS[match[match.lastindex or 0]])
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"--since {literal(text)} is not a date or time.",
            'Write it as 2026-11-23 or "2026-11-23 18:00" in local time, or as yesterday, 3h or 7d.',
        ) from error
