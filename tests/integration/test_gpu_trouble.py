"""A GPU that is too small, or fails, with real workers; it is made up by a processor that behaves as if it had one."""

from sandbox import Place

TOML = """
[inbox]
text = "odd"
settle_seconds = 0.0
[recipes.odd]
processor = "fakes.misbehaving"
device = "cuda"
max_batch = 4
{fallback}
[retry]
attempts = {attempts}
backoff = 0
"""


def _devices(place: Place, file: str) -> list[str]:
    """Of the attempts at a file, in turn."""
    query = "SELECT attempts.device FROM attempts JOIN job_log ON job = id WHERE file = '{}' ORDER BY attempt"
    return [row["device"] for row in place.rows(query.format(file))]


def test_file_that_does_not_fit_into_the_gpu_is_processed_on_the_cpu_with_a_note(make_place):
    place = make_place(TOML.format(fallback="cpu_fallback = true", attempts=1))
    place.drop("large.txt", "gpu_memory")
    place.drop("huge.txt", "memory")
    for name in ("a.txt", "b.txt"):
        place.drop(name, "fine")
    place.drain(check=1)
    result = place.result("large.txt")
    assert result["device"] == "cpu" and result["processor_options"]["device"] == "cpu"
    assert "on the CPU" in result["note"] and "GPU's memory" in result["note"]
    assert _devices(place, "large.txt")[-2:] == ["cuda", "cpu"], "it was tried there alone first"
    assert _devices(place, "huge.txt")[-2:] == ["cuda", "cpu"], "what fits nowhere is tried nowhere else"
    assert place.row("huge.txt")["error_kind"] == "out_of_memory"
    for name in ("a.txt", "b.txt"):
        assert place.result(name)["device"] == "cuda" and place.result(name)["note"] is None
    place.verify()


def test_nothing_goes_to_the_cpu_unasked(make_place):
    place = make_place(TOML.format(fallback="", attempts=1))
    place.drop("large.txt", "gpu_memory")
    place.drain(check=1)
    assert place.row("large.txt")["error_kind"] == "out_of_memory"
    assert set(_devices(place, "large.txt")) == {"cuda"}


def test_processor_without_a_device_cannot_fall_back(make_place):
    place = make_place('[processors.plaintext]\ncpu_fallback = true\n[recipes.count]\nprocessor = "plaintext"\n')
    assert "has none" in place.inboxd("config", "check", check=78).stderr


def test_gpu_that_fails_costs_one_attempt_and_the_worker_not_the_queue(make_place):
    place = make_place(TOML.format(fallback="", attempts=2))
    place.drop("unlucky.txt", "lose_device_once lost")
    for name in ("a.txt", "b.txt", "c.txt", "d.txt", "e.txt"):
        place.drop(name, "fine")
    place.drain()
    assert {row["state"] for row in place.rows()} == {"done"}
    assert len(place.rows("SELECT DISTINCT worker_pid FROM attempts")) == 2
    place.verify()
