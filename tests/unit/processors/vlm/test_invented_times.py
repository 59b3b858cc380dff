"""The times in minutes of a recording."""

import pytest

from processors.vlm.document import times

TRANSCRIPT = "**0:00** Good morning.\n\n**12:34** The budget.\n\n**1:02:03** We meet at 10:30."


@pytest.mark.parametrize("written", ["0:00", "00:00", "12:34", "00:12:34", "1:02:03", "01:02:03", "10:30"])
def test_times_of_the_transcript_are_known_however_they_are_written(written: str):
    assert times.reasons(f"- {written} Budget", times.times_in(TRANSCRIPT)) == []


@pytest.mark.parametrize("written", ["12:35", "1:12:34", "62:04"])
def test_times_that_the_transcript_lacks_are_reported(written: str):
    found = times.reasons(f"- {written} Budget", times.times_in(TRANSCRIPT))
    assert found == [f"These times are not in the transcript: {written}."]


@pytest.mark.parametrize("written", ["ratio 16:9", "verse 3:16.", "1:2", "12:345", "2026:01:02:03"])
def test_other_figures(written: str):
    unknown = times.reasons(written, times.times_in(TRANSCRIPT))
    assert (unknown != []) == (written == "verse 3:16."), "a verse looks like a time"


def test_only_some_of_many_unknown_times_are_named():
    (reason,) = times.reasons(" ".join(f"{minute}:59" for minute in range(20, 30)), set())
    assert reason.endswith("20:59, 21:59, 22:59, 23:59, 24:59 and 5 more.")
