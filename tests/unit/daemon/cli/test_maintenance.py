"""The summaries that end `inboxd doctor` and `inboxd prune`."""

from daemon.cli import maintenance


def test_summaries_count_in_the_singular_and_the_plural():
    assert maintenance.doctor_summary({"FAIL": 3, "warn": 2, "ok": 8}) == "3 failed, 2 warnings, 8 passed."
    assert maintenance.doctor_summary({"warn": 1}) == "0 failed, 1 warning, 0 passed."
    counts = {"result": 1, "history": 2, "kept": 3}
    shown = maintenance.prune_summary(counts, dry_run=True)
    assert shown == "Would remove: 1 result, 2 rows of the job log. Kept: 3."
    assert maintenance.prune_summary({"kept": 1}, dry_run=False) == "Removed: nothing. Kept: 1."
