"""Where the project, the tests and their data are, and how a process finds the tests' own modules."""

import os
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
DATA = TESTS / "data"
AUDIO = DATA / "audio"
SUPPORT = (TESTS / "support", TESTS / "reliability" / "support", TESTS / "reliability" / "rigs")
PYTHONPATH = os.pathsep.join(map(str, (ROOT, TESTS, *SUPPORT)))
