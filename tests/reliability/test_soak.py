"""The daemon uses no more resources after an hour of mixed load than after five minutes; see soak_rig.py."""

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mixed_files import CONFIG, WEIGHTS
from soak_rig import Soak

SEED = int(os.environ.get("INBOXD_SEED", random.SystemRandom().randrange(10**6)))
MINUTES = float(os.environ.get("INBOXD_SOAK_MINUTES", 60))
MODELS = Path(os.environ.get("INBOXD_TEST_MODELS", "state/models")).resolve()
WARM_UP_SECONDS = 300.0
SHORT_SECONDS = 3.0
MAX_WORKERS = 3

SHORT = {sort: weight for sort, weight in WEIGHTS.items() if sort not in ("hang", "large", "noisy")}
SHORT_LIVED = 'max_batch = 32\n    keep_alive = "1s"\n'
ENGINES = """
    [processors.whisper]
    model = "tiny.en"
    keep_alive = "20s"
    [processors.vlm]
    keep_alive = "20s"
"""


@pytest.fixture
def make_soak(tmp_path: Path) -> Iterator[Callable[..., Soak]]:
    made: list[Soak] = []

    def make(**arguments) -> Soak:
        made.append(
            Soak(tmp_path, **{"toml": _config(tmp_path), "seed": SEED, "flood": 100, "weights": SHORT, **arguments})
        )
        return made[-1]

    yield make
    for soak in made:
        soak.close()


def test_daemon_does_not_grow(make_soak):
    soak = make_soak()
    account = soak.run(SHORT_SECONDS, sample_seconds=0.1, rest_seconds=15.0)
    assert account.bad == 0, (account.notes, SEED)
    assert soak.meters.problems(max_workers=MAX_WORKERS, skip=0) == [], SEED


@pytest.mark.parametrize(
    ("sabotage", "symptom"), [("leaks a descriptor per job", "descriptors"), ("leaks memory per job", "rss_bytes")]
)
def test_rig_detects_a_leak(sabotage: str, symptom: str, make_soak):
    """Negative controls. Readings are taken by number of jobs, not by time: otherwise, the leak of a short flood could
    lie before or after most of the readings."""
    soak = make_soak(sabotage=sabotage, flood=4)
    soak.run_floods(12, rest_seconds=5.0)
    assert any(symptom in problem for problem in soak.meters.problems(max_workers=MAX_WORKERS, skip=0))


@pytest.mark.long
def test_daemon_uses_no_more_after_an_hour_than_after_five_minutes(make_soak, tmp_path: Path):
    has_engines = (MODELS / "whisper" / "tiny.en.pt").exists()
    weights = {**WEIGHTS, "sound": 1, "drawing": 1} if has_engines else WEIGHTS
    soak = make_soak(toml=_config(tmp_path, engines=has_engines), flood=2000, weights=weights)
    started = time.monotonic()
    account = soak.run(MINUTES * 60, sample_seconds=1.0, rest_seconds=60.0)
    skip = int(min(WARM_UP_SECONDS, MINUTES * 60 / 4))
    problems = soak.meters.problems(max_workers=MAX_WORKERS, skip=skip)
    print(_figures(soak, account, time.monotonic() - started, skip, problems))
    assert account.bad == 0, (account.notes[:20], SEED)
    assert problems == [], SEED


def _config(home: Path, *, engines: bool = False) -> str:
    text = CONFIG.format(outbox=home / "outbox", timeout="1.5s")
    text = text.replace("max_batch = 32\n", SHORT_LIVED).replace(
        "max_batch = 3\n", 'max_batch = 3\n    keep_alive = "1s"\n'
    )
    text += '    unload = "500ms"\n'
    if not engines:
        return text
    text = text.replace("[inbox]", f'models = "{MODELS}"\n    [inbox]', 1)
    return text.replace('image = ""', 'image = "read"\n    audio = "transcribe"', 1) + ENGINES


def _figures(soak: Soak, account, seconds: float, skip: int, problems: list[str]) -> str:
    """One line with the figures."""
    rest, end, meters = soak.meters.at_rest, soak.meters.at_end, soak.meters
    rss, wal = ([value / 2**20 for value in meters.medians(name, skip=skip)] for name in ("rss_bytes", "wal_bytes"))
    return (
        f"soak: {seconds / 60:.0f} min, scenes {dict(soak.played)}, {account.files} files, {account.looks} checks, "
        f"bad {account.bad}, worn out by kills {account.worn}, {len(meters.readings)} readings; "
        f"second quarter to last: RSS {rss[0]:.1f} to {rss[1]:.1f} MB, WAL {wal[0]:.1f} to {wal[1]:.1f} MB; "
        f"first rest to last: descriptors {rest.descriptors} to {end.descriptors}, "
        f"threads {rest.threads} to {end.threads}; problems {problems}; seed {SEED}"
    )
