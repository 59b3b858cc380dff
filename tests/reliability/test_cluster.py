"""Nodes, actors, the head and the daemon die, and no file is lost, repeated or incomplete; see cluster_rig.py."""

import os
import random
from pathlib import Path

import pytest
from cluster_rig import Storm
from ray_nodes import require_ray

SEED = int(os.environ.get("INBOXD_SEED", random.SystemRandom().randrange(10**6)))
FILES = int(os.environ.get("INBOXD_FILES", 5_000))


@pytest.mark.long
def test_cluster_under_fire_loses_and_repeats_nothing(tmp_path: Path):
    require_ray()
    verdict = Storm(home=tmp_path, seed=SEED, files=FILES).run()
    print(f"\n{verdict}")
    assert verdict.account.bad == 0, f"{verdict}\nrepeat with: INBOXD_SEED={SEED} INBOXD_FILES={FILES}"
    assert verdict.account.worn <= FILES / 100, "kills alone cost too many good files"
    assert max(verdict.given_up_seconds, default=0) < 15
    assert max(verdict.joined_seconds, default=0) < 30
