import os
import re
import time
from pathlib import Path

import pytest
from paths import ROOT

from daemon import config
from daemon.config.schema import RetryTable, ScheduleTable
from daemon.core.errors import ConfigError
from processors.contract import Kind
from processors.quantities import parse_duration


def _parse(toml: str, tmp_path: Path) -> config.Settings:
    path = tmp_path / "config.toml"
    path.write_text(toml)
    return config.load(path)


def test_empty_file_is_a_valid_one(tmp_path: Path):
    settings = _parse("", tmp_path)
    assert settings.inbox == tmp_path / "inbox"
    assert settings.folder("any/where").recipes == {Kind.IMAGE: "read", Kind.AUDIO: "transcribe"}


def test_the_shipped_config_is_the_defaults(tmp_path: Path):
    shipped, defaults = config.load(ROOT / "config.toml"), _parse("", tmp_path)
    assert shipped.folders == defaults.folders and shipped.recipes == defaults.recipes
    assert (shipped.retry, shipped.workers, shipped.schedule) == (defaults.retry, defaults.workers, defaults.schedule)


def test_every_commented_key_of_the_shipped_config_is_known_and_shows_its_default(tmp_path: Path):
    text = (ROOT / "config.toml").read_text()
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    live = [line for line in lines if line.startswith("[") or re.match(r"[a-z_]+ = ", line)]
    settings = _parse("\n".join(live), tmp_path)
    assert settings.retry == RetryTable() and settings.schedule == ScheduleTable()
    assert settings.on("vlm") == _parse("", tmp_path).on("vlm")


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[inbox]\nsettle_secs = 1", ["[inbox]", "settle_secs", "settle_seconds"]),
        ("[inbxo]\n", ["inbxo", "inbox"]),
        ('[inbox]\nimage = "raed"', ["[inbox]", "raed", 'Did you mean "read"']),
        ('[inbox]\naudio = "read"', ["supports image files", "not audio files", "For audio files: transcribe."]),
        ('[inbox]\naudio = "ask"', ["supports image and text files", "not audio files"]),
        ('[inbox]\ntext = "read"', ["supports image files", "not text files", "For text files: ask, describe, "]),
        ('[recipes.x]\nprocessor = "wisper"', ["[recipes.x]", "wisper", 'Did you mean "whisper"']),
        ("[recipes.x]\nprompt = 'y'", ["[recipes.x]", "no processor", "Add a line"]),
        ('[recipes.x]\nprocesor = "ocr"', ["[recipes.x]", 'Did you mean "processor" instead of "procesor"?']),
        ('[recipes.x]\nprocessor = "plaintext"\nuper = true', ["[recipes.x]", "uper", "upper"]),
        ("[processors.plaintext]\nmax_batch = 0", ["max_batch", "0"]),
        (
            '[inbox.folders.r]\nimage = "receipt"\noptions = {lang = "de"}',
            ["[inbox.folders.", "lang", 'Did you mean "languages"', 'Did you mean "language"'],
        ),
        ('[retry]\nbackoff = "soon"', ["backoff", "soon", "30s"]),
        ('[inbox.folders."../x"]\nimage = "read"', ["../x", "not a folder in the inbox"]),
        ("[inbox\n", ["not valid TOML"]),
        ("[devices.gpu0]\n", ["gpu0", "is not a device", '[devices."cuda:0"]']),
        ('[devices."cuda:0"]\nuuid = "0"', ["uuid", "nvidia-smi -L"]),
        ('[devices."cuda:0"]\nmemory = "much"', ['[devices."cuda:0"]', "memory"]),
        ('[devices."cuda:0"]\nat_once = 0', ["at_once", "at least 1"]),
        ("[devices.cpu]\nuse = false", ["[devices.cpu]", "need the CPU"]),
        ('[devices."cuda:0"]\nuuid = "GPU-1"\n[devices."cuda:1"]\nuuid = "GPU-1"', ["two tables", "uuid"]),
    ],
)
def test_mistake_is_reported_with_its_place_and_fix(toml: str, words: list[str], tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        _parse(toml, tmp_path)
    for word in [*words, "config.toml"]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a = " + b"9" * 5000, "64 bits"),
        (b"a = " + b"[" * 60_000, "nested more than 16 deep"),
        (b"a = " + b"{a=" * 20_000, "nested more than 16 deep"),
        (b"a." * 30_000 + b"a = 1", "more than 16 parts"),
        (b"[inbox]\npriority = 9223372036854775808", "64 bits"),
        (b"[inbox]\npriority = 1000001", "priority = 1000001: must be between -1,000,000 and 1,000,000"),
        (b"[inbox.folders.a]\npriority = -1000001", "priority = -1000001"),
        (b"[inbox]\noptions = {language = 2024-01-01}", "dates"),
        (b"[inbox]\noptions = {language = nan}", "nan"),
        (b"[retry]\nbackoff_max = inf", "100 years"),
        (b"[retry]\nbackoff_max = 1e300", "100 years"),
        (b"[retention]\nresults = inf", "100 years"),
        (b"[retry]\nbackoff_max = '" + b"9" * 400 + b"w'", "100 years"),
        (b"[workers]\nmemory = '" + b"9" * 400 + b"GB'", "amount of memory"),
        (b"\xff", "UTF-8"),
        (b"#" * 300_000, "larger than 256 KiB"),
    ],
)
def test_pathological_file_is_refused_with_a_reason(content: bytes, words: str, tmp_path: Path):
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    for load in (config.load, config.load_paths):
        try:
            load(path)
        except ConfigError as error:
            assert "config.toml" in str(error)
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert words in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("toml", "place"),
    [
        ("[paths]\ninbox = {bad}", "[paths] inbox"),
        ("[paths]\nmodels = {bad}", "[paths] models"),
        ("[processors.plaintext]\npython = {bad}", "[processors.plaintext] python"),
        ("[processors.whisper]\nmodel = {bad}", "[processors.whisper] model"),
        ('[recipes.x]\nprocessor = "plaintext"\npython = {bad}', "[recipes.x] python"),
        ("[metrics]\nlisten = {bad}", "[metrics] listen"),
        ("[[hooks]]\ncommand = [{bad}]", "command"),
        ("[[hooks]]\nwebhook = {bad}", "webhook"),
        ("[inbox.folders.{bad}]\npriority = 1", "[inbox.folders"),
    ],
)
@pytest.mark.parametrize("control", ["\\u0000", "\\n", "\\u001b", "\\u007f", "\\u0085"])
def test_control_character_is_refused_where_a_path_or_an_address_is_expected(
    toml: str, place: str, control: str, tmp_path: Path
):
    with pytest.raises(ConfigError) as caught:
        _parse(toml.format(bad=f'"/http://{control}x"'), tmp_path)
    assert place in str(caught.value) and "control character" in str(caught.value)
    assert str(caught.value).splitlines()[0].isprintable()


def test_control_character_is_refused_in_the_name_of_the_metrics_file(tmp_path: Path):
    with pytest.raises(ConfigError, match="textfile.*control character"):
        _parse('[metrics]\ntextfile = "\\u0000.prom"', tmp_path)


def test_hook_argument_may_have_several_lines_but_no_nul(tmp_path: Path):
    settings = _parse('[[hooks]]\ncommand = ["sh", "-c", "a\\n\\tb"]', tmp_path)
    assert settings.hooks[0].command == ("sh", "-c", "a\n\tb")
    with pytest.raises(ConfigError, match="control character"):
        _parse('[[hooks]]\ncommand = ["sh", "-c", "a\\u0000b"]', tmp_path)


def test_paths_of_a_wrong_file_are_checked_as_well(tmp_path: Path):
    path = tmp_path / "config.toml"
    path.write_text('[paths]\nstate = "\\u0000"\n[retry]\nattemps = 1')
    with pytest.raises(ConfigError, match="control character"):
        config.load_paths(path)


def test_loop_of_links_is_refused_as_a_path(tmp_path: Path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ConfigError, match="inbox"):
        _parse('[paths]\ninbox = "loop/x"', tmp_path)


def test_port_with_thousands_of_digits_is_refused_with_a_reason(tmp_path: Path):
    with pytest.raises(ConfigError, match="write an address and a port"):
        _parse(f'[metrics]\nlisten = "127.0.0.1:{"9" * 5000}"', tmp_path)


def test_processor_that_cannot_be_imported_is_named(tmp_path: Path, monkeypatch):
    (tmp_path / "broken_processor.py").write_text("raise RuntimeError('of its own')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="broken_processor.*of its own"):
        _parse('[recipes.x]\nprocessor = "broken_processor.x"\n', tmp_path)


def test_irregular_file_is_refused_immediately(tmp_path: Path):
    pipe, folder, link = (tmp_path / name for name in ("pipe", "folder", "link"))
    os.mkfifo(pipe)
    folder.mkdir()
    link.symlink_to(pipe)
    for load in (config.load, config.load_paths):
        for path in (pipe, link, Path("/dev/zero")):
            with pytest.raises(ConfigError, match="is not a regular file"):
                load(path)
        with pytest.raises(ConfigError, match="is a folder"):
            load(folder)


def test_file_behind_a_link_is_read(tmp_path: Path):
    (tmp_path / "real.toml").write_text("[retry]\nattempts = 7")
    (tmp_path / "config.toml").symlink_to("real.toml")
    assert config.load(tmp_path / "config.toml").retry.attempts == 7


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ("a//b", '"a/b"'),
        ("a/b/", '"a/b"'),
        ("a/", "a"),
        ("a/./b", '"a/b"'),
        ("a//", "a"),
        ("bank statements/", '"bank statements"'),
    ],
)
def test_folder_has_only_one_spelling(written: str, right: str, tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        _parse(f'[inbox.folders."a/b"]\npriority = 1\n[inbox.folders."{written}"]\npriority = 2', tmp_path)
    assert f"[inbox.folders.{right}]" in str(caught.value)


@pytest.mark.parametrize("table", ["inbox", "inbox.folders.a"])
@pytest.mark.parametrize("value", ["true", '"5"', "5.0"])
def test_priority_is_a_whole_number_as_in_a_sidecar(table: str, value: str, tmp_path: Path):
    with pytest.raises(ConfigError, match="priority"):
        _parse(f"[{table}]\npriority = {value}", tmp_path)


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("[inbox]\nwait_for_done = 7", "[inbox] wait_for_done = 7: must be true or false"),
        ("[inbox]\nimage = true", "[inbox] image = true: must be text, in quotes"),
        ("[inbox]\npriority = {a = 1}", "[inbox] priority = {a = 1}: must be a whole number"),
        ("[inbox]\nsettle_seconds = nan", "[inbox] settle_seconds = nan: must be a number of seconds"),
        (
            "[inbox]\nsettle_seconds = 2024-01-01",
            '[inbox] settle_seconds = 2024-01-01: is not a duration; write a number of seconds, or "30s", "10m", "2h", '
            '"7d"',
        ),
        ("[inbox]\nsettle_seconds = -1", "[inbox] settle_seconds = -1: must be at least 0"),
        (
            '[inbox]\noriginals = "bin"\nduplicates = "\\U0010ffff"',
            '[inbox] originals = "bin": must be "keep", "archive" or "delete"\n'
            '[inbox] duplicates = "\\U0010ffff": must be "process", "skip" or "reuse"',
        ),
        (
            '[recipes.x]\nprocessor = "whisper"\nlanguage = "klingonian"',
            '[recipes.x] language: unknown language "klingonian": write a code such as "en", or "auto" to detect it',
        ),
        (
            '[recipes.x]\nprocessor = "ocr"\ntask = "bank-statement"\ncsv_locale = "Klingon"\ncsv_separator = ":"',
            '[recipes.x] csv_locale = "Klingon": must be a language and a country, such as "de_DE"\n'
            '[recipes.x] csv_separator = ":": must be ",", ";", "\\t" or "|"',
        ),
        ("[retry]\nattempts = 0", "[retry] attempts = 0: must be at least 1"),
        ("[schedule]\nrescan = 0", "[schedule] rescan = 0: must be greater than 0"),
        ("[paths]\ninbox = 7", "[paths] inbox = 7: must be a path, in quotes"),
        ("paths = 7", "paths = 7: must be a table"),
        (
            '[processors.whisper]\ndevice = "gpu"\nbase_url = "localhost"',
            '[processors.whisper] device = "gpu": must be "auto", "cpu", "cuda" or a numbered GPU such as "cuda:0"\n'
            '[processors.whisper] base_url = "localhost": must be an address that begins with http:// or https://, '
            'such as "http://localhost:8000/v1", without spaces or a user name, or a list of such addresses',
        ),
        (
            '[processors.vlm]\nengine = "openai"\nbase_url = ["http://a", "b c"]',
            '[processors.vlm] base_url = "b c": must be an address that begins with http:// or https://, '
            'such as "http://localhost:8000/v1", without spaces or a user name, or a list of such addresses',
        ),
        ("hooks = 7", 'hooks = 7: must be a list, such as ["one", "two"]'),
        (
            "[inbox.folders.a]\npriority = 1000001",
            "[inbox.folders.a] priority = 1000001: must be between -1,000,000 and 1,000,000",
        ),
        (
            '[[hooks]]\ndesktop = true\n[[hooks]]\ncommand = ["x"]\non = ["a", "b", "failed"]',
            '[[hooks]] number 2 on = "a", "b": must be "done", "review", "failed" or "digest"',
        ),
        (
            "[[hooks]]\non = []",
            '[[hooks]] number 1: set exactly one of command = ["program", "argument"], webhook = "https://…", '
            "desktop = true",
        ),
        (
            "[retry]\nb = 1\nattempts = 0\na = 1\n[inbox]\nz = 1",
            '[retry] unknown key "b".\n[retry] attempts = 0: must be at least 1\n[retry] unknown key "a".\n'
            '[inbox] unknown key "z".',
        ),
    ],
)
def test_mistakes_are_reported_as_toml_and_in_plain_words(toml: str, says: str, tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        _parse(toml, tmp_path)
    lines = caught.value.what.splitlines()
    assert "\n".join(line.removeprefix(f"{tmp_path / 'config.toml'}: ") for line in lines) == says


@pytest.mark.parametrize(
    "toml",
    [
        "".join(f"key{number} = 1\n" for number in range(15_000)),
        "".join(f"[recipes.r{number}]\nkey = 1\n" for number in range(5_000)),
        "".join(f"[inbox.folders.f{number}]\ntext = 1\n" for number in range(5_000)),
    ],
    ids=["keys", "recipes", "folders"],
)
def test_file_with_thousands_of_mistakes_is_refused_quickly_and_briefly(toml: str, tmp_path: Path):
    (tmp_path / "config.toml").write_text(toml)
    started = time.process_time()
    with pytest.raises(ConfigError, match="more mistakes") as caught:
        config.load(tmp_path / "config.toml")
    assert len(str(caught.value)) < 50_000 and time.process_time() - started < 2.0


def test_mistakes_in_several_processors_and_recipes_are_all_named(tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        _parse(
            """
            [processors.plaintext]
            max_batch = 0
            [recipes.b]
            processor = "plaintext"
            uper = true
            timeout = nan
            [recipes.a]
            processor = "wisper"
            """,
            tmp_path,
        )
    lines = caught.value.what.splitlines()
    assert [line.partition(": ")[2].partition("]")[0] for line in lines] == [
        "[processors.plaintext",
        "[recipes.b",
        "[recipes.b",
        "[recipes.a",
    ]
    assert 'Did you mean "whisper"' in caught.value.fix and "docs/settings.md" in caught.value.fix


def test_long_value_does_not_hide_the_reason(tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        _parse(f"[inbox]\npriority = '{'x' * 5000}'", tmp_path)
    assert caught.value.what.endswith("x …: must be a whole number") and len(caught.value.what) < 300


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"[inbox]\nimage = read  # mine", 'text needs quotes: image = "read"'),
        (b"[inbox]\nsettle_seconds = 5s", 'text needs quotes: settle_seconds = "5s"'),
        (b"[inbox]\nwait_for_done = yes", "write true or false: wait_for_done = true"),
        (b"[inbox]\nwait_for_done = False", "write true or false: wait_for_done = false"),
        ("[inbox]\nimage = “read”".encode(), "use straight quotes"),
        (b"[inbox]\nimage =\n", "a value is missing after image ="),
        ("[inbox]".encode("utf-16"), "save the file as UTF-8"),
        ("[inbox]".encode("utf-16-le"), "save the file as UTF-8"),
        ("# für".encode("latin-1"), "save the file as UTF-8"),
    ],
)
def test_syntax_error_comes_with_a_hint(content: bytes, hint: str, tmp_path: Path):
    (tmp_path / "config.toml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        config.load(tmp_path / "config.toml")
    assert hint in caught.value.what


def test_missing_file_is_reported(tmp_path: Path):
    with pytest.raises(ConfigError, match="There is no"):
        config.load(tmp_path / "nothing.toml")


def test_folder_inherits_missing_keys_from_the_one_above(tmp_path: Path):
    settings = _parse(
        """
        [inbox]
        priority = 1
        [inbox.folders.a]
        image = "describe"
        originals = "delete"
        [inbox.folders."a/b"]
        audio = ""
        priority = 7
        """,
        tmp_path,
    )
    folder = settings.folder("a/b/c/d")
    assert (folder.recipes, folder.priority, folder.originals) == ({Kind.IMAGE: "describe"}, 7, "delete")
    assert settings.folder("a/x").recipes == {Kind.IMAGE: "describe", Kind.AUDIO: "transcribe"}
    assert settings.folder("ab").originals == "keep"


def test_recipe_may_override_its_processors_options(tmp_path: Path):
    settings = _parse(
        """
        [processors.plaintext]
        timeout = "5m"
        [recipes.quick]
        processor = "plaintext"
        timeout = "10s"
        upper = true
        """,
        tmp_path,
    )
    assert settings.recipes["quick"].options.timeout == 10.0
    assert settings.recipes["quick"].recipe_options.upper is True
    assert settings.on("plaintext").timeout == 300.0


@pytest.mark.parametrize(
    ("text", "seconds"), [(3, 3.0), ("90s", 90.0), ("1.5h", 5400.0), ("50ms", 0.05), ("2 d", 172800.0)]
)
def test_durations(text, seconds: float):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "5 minutes", "-1s", True, None])
def test_text_that_is_not_a_duration_is_refused(text):
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("mistake", ["[retry]\nattemps = 3\n", "[inbox\n", '[processors.whisper]\nmodel = "turbo\n'])
def test_paths_are_read_despite_mistakes_elsewhere(tmp_path: Path, mistake: str):
    file = tmp_path / "config.toml"
    file.write_text(f'{mistake}[paths]\nstate = "there"  # [not a table]\noutbox = "out"\n{mistake}')
    with pytest.raises(ConfigError):
        config.load(file)
    assert config.load_paths(file).state == tmp_path / "there" and config.load_paths(file).outbox == tmp_path / "out"
    file.write_text(f"{mistake}[paths]\nstate = \n")
    with pytest.raises(ConfigError):
        config.load_paths(file)
