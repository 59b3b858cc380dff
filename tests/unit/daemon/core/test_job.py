"""Jobs, and how their values change."""

import dataclasses

import pytest
from factories import make_job

from daemon.core.job import JobState


def test_changed_job_equals_a_replaced_one_and_leaves_the_old_one_alone():
    job = make_job(state=JobState.QUEUED)
    values = {"state": JobState.RUNNING, "attempt": 1, "review": ("blurred",)}
    assert job.changed(**values) == dataclasses.replace(job, **values)
    assert job.state is JobState.QUEUED and job.attempt == 0


def test_value_that_a_job_does_not_have_is_refused():
    with pytest.raises(AssertionError):
        make_job().changed(statee=JobState.RUNNING)
