"""The commands, queries and links of the documentation work."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import requires
import typer
import yaml
from paths import DATA, ROOT
from prometheus_client.parser import text_string_to_metric_families
from sandbox import Place

from daemon import config
from daemon.cli.main import app

README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
QUERIES = (ROOT / "docs" / "queries.md").read_text()
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]

_COMMAND = re.compile(r"(?:[$#] )?(?:sudo (?:-u \w+ )?)?(?:/?(?:[\w.]+/)+)?inboxd ([a-z][a-z-]*(?: .*)?)")


def test_the_ten_queries_run_as_shown(place: Place):
    requires.program("sqlite3")
    place.drop("meeting notes.txt", "words")
    place.drain()
    queries = re.search(r"```sql\n(.*?)```", QUERIES, re.DOTALL)[1]
    assert queries.count(";") == 10
    done = subprocess.run(
        ["sqlite3", "-readonly", str(place.state / "jobs.db")], input=queries, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "done|1" in done.stdout and "meeting notes" in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_and_heading_a_page_points_to_is_there(page: Path):
    for target, heading in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
        aim = (page.parent / target).resolve() if target else page
        assert aim.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)", aim.read_text(), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, heading


def test_readme_is_short_and_names_the_test_command():
    assert len(README.encode()) <= 6 * 1024
    assert re.search(r"^make test\b", README, re.MULTILINE)


def _shell_text(page: Path) -> str:
    """The shell commands of a page: its sh and console blocks, and its inline code; one command per line."""
    text = page.read_text()
    blocks = re.findall(r"^ *```(?:sh|console)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    spans = re.findall(r"`((?:sudo )?[\w./]*inboxd [^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return "\n".join([*blocks, *spans])


def _commands(text: str) -> list[list[str]]:
    """The words after `inboxd` of each command."""
    lines = (re.sub(r"\s+# .*", "", line) for line in text.splitlines())
    parts = (part.strip() for line in lines for part in re.split(r"&&|;|\|", line))
    return [match[1].split() for part in parts if (match := _COMMAND.fullmatch(part))]


def _unknown(words: list[str]) -> str:
    """The command or the first option that does not exist; "" if all do."""
    command = typer.main.get_command(app)
    while words and hasattr(command, "commands"):
        if words[0] not in command.commands:
            return words[0]
        command, words = command.commands[words[0]], words[1:]
    if command.name == "models":  # its options are those of another program
        return ""
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    used = [word.split("=")[0].rstrip(".,:") for word in words if word.startswith("-")]
    return next((option for option in used if option not in {*known, "--help"}), "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_of_a_page_is_known(page: Path):
    unknown = {" ".join(words): _unknown(words) for words in _commands(_shell_text(page))}
    assert {words: wrong for words, wrong in unknown.items() if wrong} == {}


def test_unknown_command_or_option_of_a_page_is_found():
    assert [_unknown(words) for words in _commands("sudo /opt/x/bin/inboxd nothing\n$ inboxd jobs --no-such -n 3")] == [
        "nothing",
        "--no-such",
    ]
    assert _commands("journalctl -u inboxd -f\n--groups inboxd NAME") == []


def test_every_page_of_the_documentation_is_reached_from_the_readme():
    linked = set(re.findall(r"\]\((docs/[^)#]*\.md)", README))
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= linked


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_and_variable_of_a_page_is_there(page: Path):
    makefile = (ROOT / "Makefile").read_text()
    assert _make_words(page.read_text()) <= set(re.findall(r"^([a-z-]+):|^([A-Z_]+) \?=", makefile, re.MULTILINE))


def _make_words(text: str) -> set[tuple[str, str]]:
    """The targets and the variables after `make`, each beside an empty text in the place of the other."""
    calls = re.findall(
        r"(?:`|^|&& )(?:sudo )?make ((?:-C \S+ )?(?:[a-z-]+|[A-Z_]+=\S*)(?: [A-Z_]+=\S*)*)", text, re.MULTILINE
    )
    words = {word.split("=")[0] for call in calls for word in re.sub(r"-C \S+ ", "", call).split()}
    return {("", word) if word.isupper() else (word, "") for word in words}


def test_make_words_of_a_page_are_found():
    assert _make_words("`make image TORCH=cpu`\nmake -C /opt/x install PYTHON=a.b && make demo") == {
        ("image", ""),
        ("", "TORCH"),
        ("install", ""),
        ("", "PYTHON"),
        ("demo", ""),
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_example_of_a_page_has_valid_syntax(page: Path):
    """Shell (to which dash answers), Python and JSON."""
    for block in _blocks(page, "sh"):
        done = subprocess.run(["sh", "-n"], input=block, capture_output=True, text=True)
        assert done.returncode == 0, f"{done.stderr}{block}"
    for block in _blocks(page, "python"):
        compile(block, page.name, "exec")
    for block in _blocks(page, "json"):
        json.loads(block if block[0] in "{[" else f"{{{block}}}")  # some show a part of an object


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_every_file_of_the_project_that_a_page_names_is_there(page: Path):
    folders = r"\.ci|benchmarks|container|daemon|docs|packaging|processors|samples|systemd|tests"
    words = {word for span in re.findall(r"`([^`\n]+)`", page.read_text()) for word in span.split()}
    named = {word for word in words if re.fullmatch(rf"(?:\./)?(?:{folders})/[\w./-]+", word)}
    assert [word for word in sorted(named) if not (ROOT / word).exists()] == []


def test_pictures_are_small_and_each_is_shown():
    pictures = [path for path in (ROOT / "docs" / "images").iterdir() if path.suffix in (".png", ".svg")]
    shown = " ".join(re.findall(r"!\[[^\]]+\]\(([^)]*)\)", " ".join(page.read_text() for page in PAGES)))
    assert pictures and [path.name for path in pictures if f"images/{path.name}" not in shown] == []
    assert [path.name for path in pictures if path.stat().st_size > 150_000] == []


def test_every_package_is_on_the_code_map():
    packages = {
        str(path.parent.relative_to(ROOT))
        for root in ("daemon", "processors")
        for path in (ROOT / root).glob("*/__init__.py")
    }
    assert packages <= set(re.findall(r"\]\(([^)]*)\)", CONTRIBUTING))


def _blocks(page: Path, language: str) -> list[str]:
    """The fenced code blocks of a page, without the indent of a list item."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", page.read_text(), re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_settings_that_a_page_shows_are_valid(page: Path, tmp_path: Path):
    shutil.copy(DATA / "schemas" / "statement.json", tmp_path)
    (tmp_path / "voices").mkdir()  # which settings of a page name
    for block in _blocks(page, "toml"):
        is_for_config = re.search(r"^\[", block, re.MULTILINE)  # a NAME.toml has no tables
        assert is_for_config or 'recipe = "' in block
        if is_for_config:
            (tmp_path / "config.toml").write_text(block)
            config.load(tmp_path / "config.toml")


def test_the_example_processor_passes_its_example_test(tmp_path: Path):
    """In a copy of the package `processors`, as CONTRIBUTING.md says."""
    shutil.copytree(ROOT / "processors", tmp_path / "processors")
    module, test = _blocks(ROOT / "CONTRIBUTING.md", "python")
    (tmp_path / "processors" / "image_size.py").write_text(module)
    (tmp_path / "test_image_size.py").write_text(test)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "test_image_size.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("tags", "archive", "name"),
    [
        ("bank,statement", "archive.pdf", "paperless-7.pdf"),
        ("statement", "None", "paperless-7.jpg"),  # what paperless passes without an archived version
        ("misstatements,bank", "archive.pdf", None),
        ("", "archive.pdf", None),
    ],
)
def test_script_for_paperless_copies_documents_with_the_tag(tags: str, archive: str, name: str | None, tmp_path: Path):
    (script,) = (block for block in _blocks(ROOT / "docs" / "recipes.md", "sh") if "DOCUMENT_TAGS" in block)
    for file in ("archive.pdf", "source.jpg"):
        (tmp_path / file).write_text(file)
    (tmp_path / "inbox" / "bank").mkdir(parents=True)
    environment = {
        "PATH": os.environ["PATH"],
        "DOCUMENT_ID": "7",
        "DOCUMENT_TAGS": tags,
        "DOCUMENT_ARCHIVE_PATH": str(tmp_path / archive),
        "DOCUMENT_SOURCE_PATH": str(tmp_path / "source.jpg"),
    }
    subprocess.run(
        ["sh", "-eu"], input=script.replace("/var/lib/inboxd", str(tmp_path)), text=True, env=environment, check=True
    )
    assert [path.name for path in (tmp_path / "inbox" / "bank").iterdir()] == ([name] if name else [])


def _metrics_in(text: str) -> set[str]:
    return set(re.findall(r"\binboxd_[a-z_]+\b", text))


def test_dashboard_and_alerts_use_only_metrics_that_exist(place: Place):
    place.drop("a.txt", "words")
    daemon = place.start()
    place.ended("a.txt")
    families = text_string_to_metric_families(place.inboxd("metrics").stdout)
    known = set()
    for family in families:
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
        known |= {family.name + suffix for suffix in suffixes.get(family.type, ("",))}
    dashboard = json.loads((ROOT / "docs" / "monitoring" / "grafana.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = [
        rule
        for group in yaml.safe_load((ROOT / "docs" / "monitoring" / "alerts.yml").read_text())["groups"]
        for rule in group["rules"]
    ]
    used = _metrics_in(" ".join([*expressions, *(rule["expr"] for rule in rules)]))
    assert len(used) > 20 and used <= known, used - known
    explained = (ROOT / "docs" / "monitoring.md").read_text()
    assert [rule["alert"] for rule in rules if f"| {rule['alert']} |" not in explained] == []
    daemon.terminate()
    assert daemon.wait(30) == 0
