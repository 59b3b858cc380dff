"""Checks between the recipes of config.toml."""

from pathlib import Path

import pytest

from daemon import config
from daemon.core.errors import ConfigError

RECIPES = """
[recipes.talk]
processor = "whisper"
{}
[recipes.chain]
processor = "plaintext"
then = "minutes"
"""


def _load(folder: Path, text: str) -> config.Settings:
    (folder / "config.toml").write_text(text)
    return config.load(folder / "config.toml")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('then = "minuets"', '[recipes.talk] then = "minuets": unknown recipe. Did you mean "minutes"?'),
        ('then = "read"', 'then = "read": it does not process texts. Recipes that can follow another: ask, describe'),
        ('then = ["summarize", "transcribe"]', 'then = "transcribe": it does not process texts'),
        ('then = "chain"', "it has a `then` of its own"),
    ],
)
def test_recipe_that_cannot_follow_is_a_mistake(tmp_path: Path, line: str, says: str):
    with pytest.raises(ConfigError) as raised:
        _load(tmp_path, RECIPES.format(line))
    assert says in " ".join(str(raised.value).split())


def test_options_of_a_folder_may_name_recipes_that_follow(tmp_path: Path):
    settings = _load(tmp_path, '[inbox]\noptions = {then = "minutes, summarize"}\n')
    assert settings.folders[""].options == {"then": "minutes, summarize"}
    with pytest.raises(ConfigError, match='then = "nonsense": unknown recipe'):
        _load(tmp_path, '[inbox]\noptions = {then = "nonsense"}\n')
