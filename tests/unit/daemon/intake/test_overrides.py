"""The messages about a wrong NAME.toml, and the options that a right one sets."""

from pathlib import Path

import pytest

from daemon import config
from daemon.core.errors import ConfigError
from daemon.files.inbox import Inbox
from daemon.intake import overrides
from daemon.intake.options_files import InvalidOptions
from daemon.intake.overrides import Choice, choose, options_of
from processors.contract import Kind
from processors.whisper import TranscribeOptions


@pytest.fixture
def settings(tmp_path: Path) -> config.Settings:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "config.toml").write_text("")
    return config.load(tmp_path / "config.toml")


def chosen(settings: config.Settings, own: str, of_folder: str = "") -> Choice:
    """The choice for talk.mp3, with `own` beside it and `of_folder` as the options of its folder."""
    sidecar = settings.inbox / "talk.mp3.toml"
    sidecar.write_text(own)
    (settings.inbox / ".inboxd.toml").write_text(of_folder)
    return choose(settings, Inbox(settings.inbox), settings.inbox, Kind.AUDIO, sidecar)


def options_with(settings: config.Settings, own: str, of_folder: str = "") -> TranscribeOptions:
    return options_of(settings.recipes["transcribe"], chosen(settings, own, of_folder).options)


@pytest.mark.parametrize(
    ("own", "says"),
    [
        (
            "max_line_width = 40",
            "max_line_width: set word_timestamps = true as well",
        ),
        (
            'channel = "left"',
            'channel = "left": must be "mix" or "each", or a whole number',
        ),
        ("channel = 0", 'channel = 0: must be "mix" or "each", or between 1 and 65,535'),
        ('formats = ["txt", "doc"]', 'formats = "doc": must be "txt", "srt", "vtt", "tsv", "json" or "md"'),
        ('formats = "doc"', 'formats = "doc": must be "txt", "srt", "vtt", "tsv", "json" or "md"'),
        ("formats = []", "formats = []: name at least one"),
        ("formats = 7", 'formats = 7: must be a list, such as ["one", "two"]'),
        ("vocabulary = [7]", "vocabulary = 7: must be text, in quotes"),
        ("beam_size = 0\npriority = 1", "beam_size = 0: must be between 1 and 64"),
        ('priority = "high"', 'priority = "high": must be a whole number'),
        ("beam_sise = 5", 'unknown key "beam_sise". Did you mean "beam_size"?'),
        (
            "beam_sise = 5\nbanana = 1",
            'unknown key "beam_sise". Did you mean "beam_size"? unknown key "banana".',
        ),
        (
            'recipe = "nope"',
            'unknown recipe "nope". Known recipes: ask, bank-statement, describe, invoice, minutes, read, receipt, '
            "summarize, text, transcribe.",
        ),
        ('recipe = "read"', 'the recipe "read" does not support audio files.'),
        (
            'compute_type = "int8"',
            '"compute_type" cannot be set here: set it in config.toml, in [processors.whisper] or in a recipe.',
        ),
        (
            'model = "x"',
            '"model" cannot be set here: set it in config.toml, in [processors.vlm], [processors.whisper] or in a '
            "recipe.",
        ),
    ],
)
def test_wrong_value_is_reported_with_its_key_and_nothing_else(settings, own: str, says: str):
    with pytest.raises(InvalidOptions) as raised:
        chosen(settings, own)
    assert str(raised.value) == f"talk.mp3.toml: {says}"


def test_only_the_first_of_many_unknown_keys_are_searched_for(settings, monkeypatch: pytest.MonkeyPatch):
    searches: list[str] = []
    monkeypatch.setattr(overrides, "nearest", lambda word, known: searches.append(word) or "")
    with pytest.raises(InvalidOptions, match="unknown key"):
        chosen(settings, "".join(f"k{number} = 1\n" for number in range(5000)))
    assert len(searches) == 50


def test_config_with_an_invalid_value_names_its_key_once(tmp_path: Path):
    (tmp_path / "config.toml").write_text('[recipes.x]\nprocessor = "whisper"\nchannel = "left"')
    with pytest.raises(ConfigError) as raised:
        config.load(tmp_path / "config.toml")
    assert '[recipes.x] channel = "left": must be "mix" or "each", or' in str(raised.value)
    assert str(raised.value).count("channel") == 1


def test_lists_may_be_written_as_one_text(settings):
    options = options_with(settings, 'formats = "srt"\nvocabulary = "Dr. Özgür, Fürth"')
    assert (options.formats, options.vocabulary) == (("srt",), ("Dr. Özgür", "Fürth"))


def test_file_may_detect_the_language_though_its_folder_sets_one(settings):
    assert options_with(settings, "", 'language = "es"').language == "es"
    assert options_with(settings, 'language = "auto"', 'language = "es"').language is None
