"""Two models that do not fit into memory together, and a lane for short jobs, with real workers."""

from sandbox import Place, wait_for

TOML = """
[inbox]
text = "one"
settle_seconds = 0.0
[inbox.folders.two]
text = "two"
[recipes.one]
processor = "fakes.misbehaving"
label = "one"
memory = "8GB"
[recipes.two]
processor = "fakes.misbehaving"
label = "two"
memory = "8GB"
[workers]
at_once = 4
{workers}
"""


def _drop_in_turns(place: Place) -> None:
    for number in range(4):
        place.drop(f"{number}.txt", "fine")
        place.drop(f"two/{number}.txt", "fine")


def _starts(place: Place) -> int:
    return len(place.rows("SELECT DISTINCT worker_pid FROM attempts"))


def test_models_that_do_not_fit_together_are_swapped_once_and_not_in_turns(make_place):
    place = make_place(TOML.format(workers='memory = "14GB"'))
    _drop_in_turns(place)
    place.drain()
    assert _starts(place) == 2
    place.verify()


def test_models_that_fit_together_work_side_by_side(make_place):
    place = make_place(TOML.format(workers='memory = "16GB"'))
    place.start()
    place.drop("waits.txt", "wait_for go")
    wait_for(lambda: (place.row("waits.txt") or {}).get("state") == "running", "the start of the one that waits")
    place.drop("two/goes.txt", "fine")
    assert place.ended("two/goes.txt")["state"] == "done"
    assert place.row("waits.txt")["state"] == "running"
    (place.home / "go").touch()
    assert place.ended("waits.txt")["state"] == "done"


def test_without_patience_the_oldest_job_runs_first_even_if_models_alternate(make_place):
    place = make_place(TOML.format(workers='memory = "14GB"\npatience = 0'))
    place.start()
    place.inboxd("pause")
    for number in range(2):
        for name in (f"{number}.txt", f"two/{number}.txt"):
            place.drop(name, "fine")
            wait_for(lambda name=name: place.row(name), "its row")
    place.inboxd("resume")
    wait_for(lambda: all(row["state"] == "done" for row in place.rows()), "the end of all")
    assert _starts(place) == 4
    place.verify()


def test_short_job_does_not_wait_for_a_long_one(make_place):
    place = make_place(TOML.format(workers='short = "1kB"'))
    place.drop("long.txt", "wait_for go\n" + "x" * 2000)
    place.start()
    wait_for(lambda: (place.row("long.txt") or {}).get("state") == "running", "the long job's start")
    place.drop("short.txt", "fine")
    assert place.ended("short.txt")["state"] == "done"
    assert place.row("long.txt")["state"] == "running"
    place.drop("also long.txt", "fine\n" + "x" * 2000)
    wait_for(lambda: (place.row("also long.txt") or {}).get("state") == "queued", "the other long job")
    (place.home / "go").touch()
    assert place.ended("also long.txt")["state"] == "done"
    place.verify()
