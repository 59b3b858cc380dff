"""A real systemd, and inboxd installed in it; see lab.py."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from installed import Installed, bring_in, python_for_all
from lab import Lab, why_not

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One systemd for the tests of a module, with this checkout in /checkout."""
    reason = why_not() or ("" if python_for_all() else "no Python of this version lies outside of home folders")
    if reason:
        pytest.skip(reason)
    binds = {ROOT: "/checkout", Path(pytest.__file__).parents[1]: "/opt/packages"}
    models = Path(os.environ.get("INBOXD_TEST_MODELS", ROOT / "state/models"))
    if models.is_dir():
        binds[models] = "/opt/models"
    booted = Lab(tmp_path_factory.mktemp("lab"), binds)
    yield booted
    booted.stop()


@pytest.fixture(scope="module")
def code(lab: Lab) -> str:
    """inboxd as `make install` leaves it in /opt/inboxd; not yet a service."""
    return bring_in(lab, "/opt/inboxd")


@pytest.fixture(scope="module")
def installed(lab: Lab, code: str) -> Installed:
    """The service, as `inboxd install` makes it, on settings for these tests; and users: a member and a stranger."""
    lab.run(f"{code}/.venv/bin/inboxd", "install")
    lab.run("useradd", "--create-home", "--user-group", "--groups", "inboxd", "member")
    lab.run("useradd", "--create-home", "--user-group", "stranger")
    service = Installed(lab)
    service.configure()
    return service


@pytest.fixture
def service(installed: Installed) -> Iterator[Installed]:
    """The service, running on the settings for these tests. Its drop-ins are removed after the test."""
    installed.lab.run("systemctl", "reset-failed")
    installed.lab.run("systemctl", "start", "inboxd")
    yield installed
    installed.forget_changes()


@pytest.fixture
def drop_in(service: Installed) -> Callable[[str], None]:
    """Adds lines to the unit, as an administrator does, and restarts the service."""
    return service.add_drop_in
