"""The paths of an installed service: that of the system, or that of a user."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from daemon.install import unit


@dataclass(frozen=True, kw_only=True)
class ServicePaths:
    """The paths of the parts of the service."""

    is_for_user: bool
    unit: Path
    config: Path
    data: Path  # contains inbox, outbox and state, unless config.toml says otherwise
    link: Path  # the command, in the PATH of all users

    @property
    def help_files(self) -> Mapping[str, Path]:
        """The paths of the man page and the completion scripts."""
        share = self.link.parents[1] / "share"
        return {
            "man": share / "man/man1/inboxd.1",
            "bash": share / "bash-completion/completions/inboxd",
            "zsh": share / "zsh/site-functions/_inboxd",
            "fish": share / "fish/vendor_completions.d/inboxd.fish",
        }

    @property
    def web_unit(self) -> Path:
        return self.unit.with_name(unit.WEB_SERVICE)

    @property
    def drop_ins(self) -> Path:
        return self.unit.with_name(f"{self.unit.name}.d")

    @property
    def systemctl(self) -> list[str]:
        return ["systemctl", "--user"] if self.is_for_user else ["systemctl"]


def system_paths() -> ServicePaths:
    return ServicePaths(
        is_for_user=False,
        unit=Path("/etc/systemd/system/inboxd.service"),
        config=Path("/etc/inboxd/config.toml"),
        data=Path("/var/lib/inboxd"),
        link=Path("/usr/local/bin/inboxd"),
    )


def user_paths(environment: Mapping[str, str] = os.environ) -> ServicePaths:
    home = Path(environment.get("HOME") or Path.home())
    settings = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    return ServicePaths(
        is_for_user=True,
        unit=settings / "systemd/user/inboxd.service",
        config=settings / "inboxd/config.toml",
        data=home / "inboxd",
        link=home / ".local/bin/inboxd",
    )
