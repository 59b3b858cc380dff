"""`inboxd doctor` reports hooks that cannot start."""

from pathlib import Path

from daemon import config
from daemon.doctor.hooks import hooks


def _findings(home: Path, *tables: dict[str, object]) -> list[tuple[str, str, str]]:
    source = home / "config.toml"
    return list(hooks(config.parse({"hooks": list(tables)}, source=source, home=home), None))


def test_program_that_is_missing_or_not_executable_fails(tmp_path: Path):
    script = tmp_path / "tell"
    script.write_text("#!/bin/sh\n")
    (not_executable,) = _findings(tmp_path, {"command": [str(script)]})
    assert not_executable == ("FAIL", f"number 1 cannot start: {script} is not executable", f"chmod +x {script}")
    (missing,) = _findings(tmp_path, {"command": ["/nowhere/tell"]})
    assert missing[:2] == ("FAIL", "number 1 cannot start: /nowhere/tell was not found")


def test_hooks_that_can_start_pass(tmp_path: Path):
    script = tmp_path / "tell"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o700)
    found = _findings(
        tmp_path,
        {"command": ["./tell", "me"], "on": ["done"]},
        {"command": ["sh"]},
        {"webhook": "https://chat.example.org/secret"},
    )
    assert [verdict for verdict, *_ in found] == ["ok", "ok", "ok"]
    assert found[0][1] == "number 1: ./tell, on done"
    assert found[2][1] == "number 3: chat.example.org, on review, failed, digest"
