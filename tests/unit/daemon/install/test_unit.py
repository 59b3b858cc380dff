"""The unit of an installation: its command, and which parts of the disk its service can see."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.install import resources, unit


def test_unit_runs_the_command_of_this_installation_in_its_group():
    text = unit.text(Path("/srv/inboxd/.venv/bin/inboxd"), "media", is_for_user=False)
    assert "\nExecStart=/srv/inboxd/.venv/bin/inboxd run --config /etc/inboxd/config.toml\n" in text
    assert "\nGroup=media\n" in text and unit.group_of(text) == "media"
    assert f"\nDocumentation={(resources.ROOT / 'README.md').as_uri()}\n" in text
    assert text.replace(str(resources.ROOT), "").count("/opt/inboxd") == 0


def test_unit_of_a_user_names_no_group():
    text = unit.text(Path("/home/ann/inboxd/.venv/bin/inboxd"), "inboxd", is_for_user=True)
    assert "ExecStart=/home/ann/inboxd/.venv/bin/inboxd run" in text and unit.group_of(text) is None


@pytest.mark.parametrize(
    ("command", "word"),
    [("/srv/100%d/inboxd", "/srv/100%%d/inboxd"), ("/srv/my box/inboxd", '"/srv/my box/inboxd"')],
)
def test_path_with_special_characters_is_escaped_for_systemd(command: str, word: str):
    assert f"ExecStart={word} run" in unit.text(Path(command), "inboxd", is_for_user=False)


@pytest.mark.parametrize(
    ("path", "directive"),
    [
        ("/home/ann/inboxd/.venv/bin/inboxd", "ProtectHome="),
        ("/root/.pyenv/versions/3.12/bin/python3.12", "ProtectHome="),
        ("/tmp/inboxd/.venv/bin/inboxd", "PrivateTmp="),
        ("/opt/home/inboxd", None),
        ("/homes/inboxd", None),
    ],
)
def test_directive_that_hides_a_path_is_found(path: str, directive: str | None):
    assert unit.find_hidden(Path(path)) == directive


@pytest.fixture
def accessible_folder() -> Iterator[Path]:
    """A folder that all users may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_first_inaccessible_part_of_a_path_is_found(accessible_folder: Path):
    file = accessible_folder / "clone" / "bin" / "inboxd"
    file.parent.mkdir(parents=True)
    file.write_text("")
    for part in (accessible_folder, accessible_folder / "clone", file.parent, file):
        part.chmod(0o755)
    assert unit.find_closed(file) is None
    file.chmod(0o750)
    assert unit.find_closed(file) == file
    (accessible_folder / "clone").chmod(0o750)
    assert unit.find_closed(file) == accessible_folder / "clone"


def test_each_drop_in_exists_and_names_its_target():
    for name in ("gpu.conf", "network.conf", "folders.conf"):
        assert "/etc/systemd/system/inboxd.service.d/" in unit.drop_in(name)


@pytest.mark.parametrize("is_for_user", [False, True])
def test_console_listens_at_the_configured_address(is_for_user: bool):
    command = Path("/srv/inboxd/.venv/bin/inboxd")
    texts = unit.web_texts(command, "media", "[::1]:81", is_for_user=is_for_user)
    assert "\nListenStream=[::1]:81\n" in texts["inboxd-web.socket"]
    assert "\nExecStart=/srv/inboxd/.venv/bin/inboxd web --config " in texts["inboxd-web.service"]
    assert ("\nGroup=media\n" in texts["inboxd-web.service"]) is not is_for_user
    assert all(text.replace(str(resources.ROOT), "").count("/opt/inboxd") == 0 for text in texts.values())
