"""Kills at random instants lose nothing, duplicate nothing and leave nothing incomplete; see chaos_rig.py."""

import multiprocessing
import os
import random
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from chaos_rig import Round, Verdict, run_rounds

SEED = int(os.environ.get("INBOXD_SEED", random.SystemRandom().randrange(10**6)))
KILLS = int(os.environ.get("INBOXD_KILLS", 10_000))
SHORT_KILLS = 15
KILLS_A_ROUND = 250
SITES = 2  # at the same time


def _check(verdict: Verdict) -> None:
    again = f"repeat with: INBOXD_SEED={verdict.seed}"
    assert verdict.bad == 0, f"{verdict}\n{again}"
    assert verdict.consumer["looked"] == verdict.account.files, f"the consumer missed results; {again}"


def test_some_kills_lose_and_repeat_nothing(tmp_path: Path):
    verdict = Round(tmp_path, seed=SEED, kills=SHORT_KILLS, outbox=tmp_path / "outbox").run()
    _check(verdict)
    assert verdict.account.looks == verdict.account.files > SHORT_KILLS
    assert sum(verdict.repaired.values()) > 0, "no kill interrupted anything: the rig detects nothing"
    print(_figures([verdict], verdict.seconds))


@pytest.mark.long
def test_ten_thousand_kills_lose_and_repeat_nothing(tmp_path: Path):
    kills = min(KILLS, KILLS_A_ROUND)
    seeds = range(SEED, SEED + -(-KILLS // kills))
    started = time.monotonic()
    with ProcessPoolExecutor(SITES, mp_context=multiprocessing.get_context("spawn")) as sites:
        parts = [sites.submit(run_rounds, tmp_path, seeds=seeds[number::SITES], kills=kills) for number in range(SITES)]
        verdicts = [verdict for part in parts for verdict in part.result()]
    print(_figures(verdicts, time.monotonic() - started))
    for verdict in verdicts:
        _check(verdict)
    worn = sum(verdict.account.worn for verdict in verdicts)
    assert worn <= sum(verdict.account.files for verdict in verdicts) / 100, (
        "too many good files failed because of kills"
    )


@pytest.mark.parametrize(
    ("sabotage", "instant", "symptom"),
    [
        ("copies results file by file", "attempt", "partial"),
        pytest.param("forgets taken files", "take", "stuck", marks=pytest.mark.long),
        pytest.param("publishes results twice", "result", "twice", marks=pytest.mark.long),
    ],
)
def test_rig_detects_sabotage(sabotage: str, instant: str, symptom: str, tmp_path: Path):
    """Negative controls: each broken daemon must be detected within a few short rounds. Some take several rounds,
    because they need a kill between two system calls."""
    for number in range(20):
        home = tmp_path / str(number)
        home.mkdir()
        verdict = Round(
            home,
            seed=SEED + number,
            kills=10,
            outbox=home / "outbox",
            targets={"daemon": 1},
            instants={instant: 1},
            weights={"text": 1},
            sabotage=sabotage,
        ).run()
        if getattr(verdict.account, symptom):
            return
    pytest.fail(f"the rig does not detect a daemon that {sabotage}; INBOXD_SEED={SEED}")


def _figures(verdicts: list[Verdict], seconds: float) -> str:
    """One line with the figures."""
    kills = sum((each.kills for each in verdicts), Counter())
    repaired = sum((each.repaired for each in verdicts), Counter())
    total = {
        name: sum(getattr(each.account, name) for each in verdicts)
        for name in ("files", "looks", "lost", "twice", "partial", "stuck", "wrong", "worn")
    }
    worn = [note for each in verdicts for note in each.account.notes if note.startswith("worn")]
    first_checks = sum(each.consumer["looked"] for each in verdicts)
    return (
        f"chaos: {len(verdicts)} rounds, {sum(kills.values())} kills ({dict(kills)}), {total['files']} files, "
        f"{first_checks} first checks, {total['looks']} checks, bad {sum(each.bad for each in verdicts)} "
        f"(lost {total['lost']}, twice {total['twice']}, partial {total['partial']}, stuck {total['stuck']}, "
        f"wrong {total['wrong']}), failed because of kills {total['worn']} {worn[:5]}, repaired {dict(repaired)}, "
        f"{seconds:.0f} s, seed {verdicts[0].seed}"
    )
