"""A wheel contains everything that the program needs, and works where the clone is not."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from paths import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of this checkout, in which an earlier build left a module that has been removed since."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "clone"
    copy.mkdir()
    names = ("daemon", "processors", "systemd", "samples", "docs", "config.toml", "pyproject.toml", "README.md")
    for name in (*names, "LICENSE", "NOTICE"):
        subprocess.run(["cp", "-r", str(ROOT / name), str(copy)], check=True)
    earlier = copy / "build" / "lib" / "daemon"
    earlier.mkdir(parents=True)
    (earlier / "removed.py").touch()
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", ".", "./clone"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    if done.returncode and "setuptools" in done.stderr and "No module" in done.stderr:
        pytest.skip("setuptools is not installed in this environment")
    assert done.returncode == 0, done.stderr
    return next(folder.glob("inboxd-*.whl"))


@pytest.fixture(scope="module")
def unpacked(wheel: Path) -> Path:
    folder = wheel.parent / "site-packages"
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def run(unpacked: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "INBOXD_"))}
    return subprocess.run(
        [sys.executable, "-m", "daemon.cli", *arguments],
        cwd=home,
        env={**environment, "HOME": str(home), "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_wheel_contains_the_resources_and_the_license(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    resources = {name.removeprefix("daemon/resources/") for name in names if name.startswith("daemon/resources/")}
    assert {"config.toml", "README.md", "docs/inboxd.1", "docs/settings.md", "systemd/inboxd.service"} <= resources
    assert {"systemd/inboxd.user.service", "systemd/inboxd.service.d/gpu.conf"} <= resources
    assert "samples/inbox/bank/statement.pdf" in resources
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("licenses/NOTICE") for name in names)
    assert not any(name.startswith("tests/") or "__pycache__" in name for name in names)


def test_wheel_contains_nothing_of_an_earlier_build(wheel: Path):
    """pip, pipx and uv build in the clone, and leave `build/` there."""
    assert "daemon/removed.py" not in zipfile.ZipFile(wheel).namelist()


def test_metadata_names_the_license_and_no_torch_in_the_base(wheel: Path):
    archive = zipfile.ZipFile(wheel)
    [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    lines = archive.read(name).decode().splitlines()
    assert "License-Expression: Apache-2.0" in lines
    base = [line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert base and not any(heavy in line for line in base for heavy in ("torch", "transformers", "whisper"))
    assert {"speech", "vlm", "faster-whisper", "all"} <= {
        line.split(": ")[1] for line in lines if line.startswith("Provides-Extra:")
    }


def test_commands_work_from_the_wheel(unpacked: Path, tmp_path: Path):
    assert run(unpacked, tmp_path, "init").returncode == 0
    written = (tmp_path / ".config" / "inboxd" / "config.toml").read_text()
    assert 'inbox = "' in written and "settle_seconds" in written
    page = ROOT / "tests" / "data" / "drawings" / "line.png"
    done = run(unpacked, tmp_path, "process", str(page), "-o", "out")
    assert done.returncode == 0, done.stderr
    assert run(unpacked, tmp_path, "models").returncode == 0
    assert "Traceback" not in run(unpacked, tmp_path, "doctor").stderr


def test_unit_of_the_wheel_runs_its_own_command(unpacked: Path, tmp_path: Path):
    program = "from daemon.install import unit; from pathlib import Path; import sys; "
    program += (
        "sys.stdout.write(unit.text(Path('/opt/x/bin/inboxd'), 'g', is_for_user=False) + unit.drop_in('gpu.conf'))"
    )
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    text = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert "ExecStart=/opt/x/bin/inboxd run --config /etc/inboxd/config.toml" in text
    assert f"Documentation=file://{unpacked}/daemon/resources/README.md" in text
