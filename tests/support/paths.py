"""The paths of the project, the tests and their data; the environment in which a process finds the tests' modules."""

import os
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
DATA = TESTS / "data"
AUDIO = DATA / "audio"
SUPPORT = (TESTS / "support", TESTS / "reliability" / "support", TESTS / "reliability" / "rigs")
PYTHONPATH = os.pathsep.join(map(str, (ROOT, TESTS, *SUPPORT)))
