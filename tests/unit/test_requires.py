"""A test that needs more than Python skips with the reason where that is missing."""

import pytest
import requires


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch):
    """A machine without further programs and without pseudo-terminals."""

    def no_terminal() -> None:
        raise OSError(2, "No such file or directory")

    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("os.openpty", no_terminal)
    requires._why_not.cache_clear()
    yield
    requires._why_not.cache_clear()


@pytest.mark.parametrize(
    ("need", "reason"),
    [
        (lambda: requires.program("sqlite3"), "needs the program sqlite3"),
        (requires.mounts, "needs the right to mount: the program unshare is not installed"),
        (requires.network_namespace, "needs a network namespace: the program unshare is not installed"),
        (requires.terminal, "needs a pseudo-terminal: No such file or directory"),
    ],
)
def test_missing_requirement_skips_with_its_reason(need, reason: str, bare: None):
    with pytest.raises(pytest.skip.Exception, match=reason):
        need()


def test_program_that_is_there_does_not_skip():
    requires.program("sh")
