"""Network namespaces, each behind a link that can be cut: for nodes of a cluster on this machine."""

import os
import shutil
import subprocess
from dataclasses import dataclass

_NETWORKS = range(1, 250)  # 10.231.N.0/24
_HOSTS = range(2, 250)


def why_no_cut_links() -> str:
    """Why links cannot be cut here; "": they can be."""
    if os.geteuid():
        return "needs root, to name a network namespace"
    if shutil.which("ip") is None:
        return "needs the program ip"
    try:
        network = CutNetwork()
        network.add()
        network.close()
    except (subprocess.CalledProcessError, StopIteration) as error:
        return f"needs the right to connect a network namespace: {error}"
    return ""


@dataclass(frozen=True, kw_only=True)
class CutLink:
    """A namespace, and the link to it."""

    name: str  # of both
    address: str  # of the namespace

    @property
    def prefix(self) -> tuple[str, ...]:
        """What a command begins with to run in the namespace."""
        return "ip", "netns", "exec", self.name

    def cut(self) -> None:
        _ip("link", "set", self.name, "down")

    def heal(self) -> None:
        _ip("link", "set", self.name, "up")


class CutNetwork:
    """A bridge that connects this machine with namespaces."""

    def __init__(self) -> None:
        number = next(each for each in _NETWORKS if _is_made("link", "add", f"inboxd{each}", "type", "bridge"))
        self._bridge = f"inboxd{number}"
        self.address = f"10.231.{number}.1"  # of this machine
        self._links: dict[int, CutLink] = {}
        _ip("addr", "add", f"{self.address}/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")

    def add(self) -> CutLink:
        number = next(each for each in _HOSTS if each not in self._links)
        link = CutLink(name=f"{self._bridge}-{number}", address=f"{self.address.rpartition('.')[0]}.{number}")
        _ip("netns", "add", link.name)
        self._links[number] = link
        _ip("link", "add", link.name, "type", "veth", "peer", "name", "eth0", "netns", link.name)
        _ip("link", "set", link.name, "master", self._bridge, "up")
        _ip("-n", link.name, "addr", "add", f"{link.address}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _ip("-n", link.name, "link", "set", device, "up")
        return link

    def remove(self, link: CutLink) -> None:
        """Remove a link whose processes have ended."""
        _ip("link", "delete", link.name)  # at once, although a process in the namespace may be about to exit
        _ip("netns", "delete", link.name)
        self._links = {number: each for number, each in self._links.items() if each != link}

    def close(self) -> None:
        for link in [*self._links.values()]:
            self.remove(link)
        _ip("link", "delete", self._bridge)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _is_made(*arguments: str) -> bool:
    return subprocess.run(["ip", *arguments], capture_output=True).returncode == 0
