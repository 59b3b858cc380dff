"""The settings as plain values, and what differs between two of them, as `inboxd reload` shows it."""

import json
from pathlib import Path

import pytest

from daemon import config
from daemon.config import schema, toml


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("", "", []),
        ("", "[inbox]\nsettle_seconds = 5", ["[inbox] settle_seconds = 5.0 (was 2.0)"]),
        ('[inbox]\naudio = ""', "", ['[inbox] audio = "transcribe" (was "")']),
        ("", '[inbox.folders."bank/2024"]\npriority = 1', ['[inbox.folders."bank/2024"] added']),
        ("[inbox.folders.a]\npriority = 1", "", ["[inbox.folders.a] removed"]),
        (
            '[recipes.x]\nprocessor = "plaintext"',
            '[recipes.x]\nprocessor = "plaintext"\nupper = true\n[schedule]\nactive = "22:00-06:00"',
            ["[recipes.x] upper = true (was false)", '[schedule] active = "22:00-06:00" (was "")'],
        ),
        ('[retention]\nresults = "1d"', "", ["[retention] results = unset (was 86400.0)"]),
        ("", '[[hooks]]\nwebhook = "https://example.org/secret"', ["[[hooks]] changed"]),
    ],
)
def test_difference_is_shown_with_both_values(old: str, new: str, lines: list[str], tmp_path: Path):
    before, after = (config.parse(toml.parse(text.encode()), source=None, home=tmp_path) for text in (old, new))
    assert config.changes(before, after) == lines


def test_every_table_of_the_file_is_described(tmp_path: Path):
    described = config.describe(config.parse({}, source=None, home=tmp_path))
    missing = schema.File.model_fields.keys() - described.keys()
    assert missing == {"paths"}  # as inbox, outbox, state and models
    json.dumps(described)


def test_option_of_a_processor_is_shown_once_and_not_for_each_recipe_that_inherits_it(tmp_path: Path):
    before = config.parse({}, source=None, home=tmp_path)
    after = config.parse({"processors": {"vlm": {"keep_alive": "1h"}}}, source=None, home=tmp_path)
    assert config.changes(before, after) == ["[processors.vlm] keep_alive = 3600.0 (was 900.0)"]
