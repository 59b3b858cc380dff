"""Detects that another distribution's package `daemon` has mixed with this one: python-daemon's has the same name."""

import sys
from pathlib import Path

_OF_PYTHON_DAEMON = "daemon.py"  # its daemon/daemon.py; this package has no such module
_EX_CONFIG = 78


def refuse_foreign_package(package: Path = Path(__file__).parents[1]) -> None:
    """Exit with a message if python-daemon is installed in the same folder: each overwrites files of the other."""
    import daemon

    if not (package / _OF_PYTHON_DAEMON).exists() and hasattr(daemon, "__version__"):
        return
    print(
        f"inboxd: {package} also contains files of another distribution, such as python-daemon, whose package has the "
        "same name, so neither can work.\n"
        "Install inboxd into a separate environment: pipx install inboxd, uv tool install inboxd, or "
        "python3 -m venv DIR && DIR/bin/pip install inboxd. Then repair this environment: "
        f"{sys.executable} -m pip uninstall inboxd && {sys.executable} -m pip install --force-reinstall python-daemon",
        file=sys.stderr,
    )
    raise SystemExit(_EX_CONFIG)
