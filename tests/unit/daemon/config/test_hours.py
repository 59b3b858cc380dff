"""The hours of the day in which jobs may start."""

from datetime import datetime, time

import pytest

from daemon.config.hours import Hours


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-28 {text}")


def test_empty_hours_mean_always():
    assert Hours.parse(" ").include(at("03:00")) and Hours().next_start(at("03:00")) is None


@pytest.mark.parametrize(
    ("moment", "expected"), [("21:59", False), ("22:00", True), ("23:59", True), ("00:00", True), ("05:59", True)]
)
def test_hours_reach_across_midnight(moment: str, expected: bool):
    assert Hours.parse("22:00-6:00").include(at(moment)) is expected
    assert not Hours.parse("22:00-6:00").include(at("06:00"))


def test_several_spans_and_the_next_start():
    hours = Hours.parse("12:00-13:00, 22:00-06:00")
    assert [hours.include(at(moment)) for moment in ("11:59", "12:30", "13:00", "23:00")] == [False, True, False, True]
    assert hours.next_start(at("07:00")) == time(12) and hours.next_start(at("13:00")) == time(22)
    assert hours.next_start(at("23:00")) == time(12)
    assert str(hours) == "12:00-13:00, 22:00-06:00" and len(hours.changes) == 4


@pytest.mark.parametrize("text", ["night", "22-6", "24:00-06:00", "10:00-10:00", "22:00-06:00,", "22:60-23:00"])
def test_text_that_is_not_a_span_is_refused_with_an_example(text: str):
    with pytest.raises(ValueError, match="22:00-06:00"):
        Hours.parse(text)
