"""The hours of the day in which jobs may start. Pure: the time is passed in, as local wall-clock time.

Only the time of day counts, so a night on which the clocks change is an hour longer or shorter, as it is for people.
"""

import re
from dataclasses import dataclass
from datetime import datetime, time

_CLOCK = re.compile(r"\s*([01]?\d|2[0-3]):([0-5]\d)\s*")
_SPAN = re.compile(r"\s*([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)\s*")


def parse_clock(text: str) -> time:
    """A time of day, from "03:30".

    Raises:
        ValueError: it is not one.
    """
    match = _CLOCK.fullmatch(text)
    if not match:
        raise ValueError(f'{text!r} is not a time of day; write "03:30"')
    return time(int(match[1]), int(match[2]))


@dataclass(frozen=True)
class Hours:
    """Spans of the day, from a time (included) to a time (excluded), also across midnight; no span: always."""

    spans: tuple[tuple[time, time], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Hours":
        """Parse "22:00-06:00", or several spans with commas; "" means always.

        Raises:
            ValueError: it is not such a text, or a span is empty.
        """
        if not text.strip():
            return cls()
        spans = []
        for part in text.split(","):
            match = _SPAN.fullmatch(part)
            if not match or match.group(1, 2) == match.group(3, 4):
                raise ValueError(f'{part.strip()!r} is not a time range; write "22:00-06:00", or several with commas')
            spans.append((time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))))
        return cls(tuple(spans))

    def __str__(self) -> str:
        return ", ".join(f"{start:%H:%M}-{end:%H:%M}" for start, end in self.spans)

    def include(self, moment: datetime) -> bool:
        """True if `moment` (local time) is within the hours."""
        now = moment.time()
        return not self.spans or any(
            start <= now < end if start < end else now >= start or now < end for start, end in self.spans
        )

    def next_start(self, moment: datetime) -> time | None:
        """The next time at which they begin; None if they never end."""
        starts = sorted(start for start, _ in self.spans)
        return next((start for start in starts if start > moment.time()), starts[0] if starts else None)

    @property
    def changes(self) -> set[time]:
        """The times at which they begin and end."""
        return {moment for span in self.spans for moment in span}
