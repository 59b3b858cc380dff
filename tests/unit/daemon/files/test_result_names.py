"""Free names for results."""

import pytest
from factories import make_job

from daemon.files import result_names
from daemon.files.folders import Folders


@pytest.mark.parametrize("taken", [set(), {1}, {1, 2, 3}, set(range(1, 1000)), {2, 3}, {1, 2, 4}])
def test_first_free_number_is_found_in_logarithmic_time(folders: Folders, taken: set[int]):
    for number in taken:
        (folders.outbox.path / ("x" if number == 1 else f"x ({number})")).mkdir()
    looks = []

    def is_taken(number: int) -> bool:
        looks.append(number)
        return number in taken

    number = result_names._first_free(is_taken)
    assert number not in taken and len(looks) <= 20
    assert folders.outbox.free_result_path(make_job(name="x.txt"), failed=False) == (
        "x" if number == 1 else f"x ({number})"
    )
    if taken == set(range(1, len(taken) + 1)):
        assert number == len(taken) + 1


def test_result_names_avoid_failures_and_inbox_folders(folders: Folders):
    free = folders.outbox.free_result_path
    assert free(make_job(name="x.txt", folder="a/b"), failed=False) == "a/b/x"
    assert free(make_job(name="x.txt", folder="a/b"), failed=True) == "failed/a/b/x"
    assert free(make_job(name="x.txt", folder="failed"), failed=False) == "failed (folder)/x"
    assert free(make_job(name="x.txt", folder="failed"), failed=True) == "failed/failed/x"
    (folders.inbox.path / "x").mkdir()
    assert free(make_job(name="x.txt"), failed=False) == "x (2)", "the folder's own results go to x"
    (folders.inbox.path / "y").symlink_to(folders.inbox.path)
    assert free(make_job(name="y.txt"), failed=False) == "y"
    (folders.outbox.path / "z").symlink_to(folders.outbox.path / "nowhere")
    assert free(make_job(name="z.txt"), failed=False) == "z (2)"
