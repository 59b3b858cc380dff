"""Memory limits, and what a worker and its descendants hold."""

import os
import subprocess
import sys

import pytest

from processors import memory
from processors.contract import Options
from processors.quantities import parse_size

HOLD = "import sys; held = bytearray(b'x') * 100_000_000; print(flush=True); sys.stdin.read()"


@pytest.mark.parametrize(
    ("text", "size"),
    [("6GB", 6_000_000_000), ("512MiB", 536_870_912), ("1.5 KB", 1500), (42, 42), ("80%", 0.8)],
)
def test_sizes_are_parsed_as_people_write_them(text: object, size: float):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1GB", "0", "0%", "6 G B", True])
def test_invalid_size_is_refused_with_examples(text: object):
    with pytest.raises(ValueError, match="6GB"):
        Options(memory_max=text)


def test_percentage_is_of_the_memory_of_this_machine():
    assert memory.limit_bytes("50%") == memory.total_bytes() // 2
    assert memory.limit_bytes("1GB") == 1_000_000_000


def test_memory_of_a_child_counts_as_its_parents_until_it_exits():
    before = memory.held_bytes(os.getpid(), 0)
    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        assert memory.held_bytes(os.getpid(), 0) - before > 90_000_000
        assert memory.held_bytes(child.pid, 0) > 90_000_000
    assert memory.held_bytes(os.getpid(), 0) - before < 50_000_000
    assert memory.held_bytes(child.pid, 0) == 0


def test_process_is_checked_more_often_near_its_limit():
    held = memory.held_bytes(os.getpid(), 0)
    near, far = memory.MemoryMonitor(held + 200_000_000), memory.MemoryMonitor(held + 50_000_000_000)
    assert (near.check(os.getpid(), 100.0), far.check(os.getpid(), 100.0)) == (0, 0)
    assert 100.0 < near.next_check < far.next_check == 101.0
    over = memory.MemoryMonitor(held // 2)
    assert over.check(os.getpid(), 100.0) > held // 2
