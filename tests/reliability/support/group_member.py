"""A malicious member of the service's group, who may drop files and read results, and attempts more.

Run as a program, as root, it becomes that user permanently and attacks until its input ends; then it reports, as one
line of JSON, which forbidden operations succeeded. See test_group_member.py.
"""

import errno
import itertools
import json
import os
import select
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

_REFUSED = {
    errno.EACCES,
    errno.EPERM,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENOTEMPTY,
}


class Member:
    """`secret`: a file that only the service may read. `swaps`: how often a name was made to mean another file."""

    def __init__(self, inbox: Path, outbox: Path, secret: Path):
        self.inbox, self.outbox, self.secret = inbox, outbox, secret
        self.own = [inbox / ".taken", outbox / ".staging", secret.parent]
        self.swaps = 0
        self.done: set[str] = set()  # forbidden operations that succeeded

    def attack(self) -> None:
        """One round: each attack once."""
        for folder in self.own:
            self._look_into(folder)
        self._rename_own_folders()
        self._swap_a_folder()
        self._swap_a_file()
        for result in self._results():
            self._spoil(result)

    def _try(self, what: str, call: Callable[..., object], *arguments: object) -> object:
        """Try an operation that must be refused."""
        try:
            result = call(*arguments)
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            return None
        self.done.add(what)
        return result

    def _look_into(self, folder: Path) -> None:
        found = self._try(f"list {folder.name}", os.listdir, folder)
        self._try(f"write into {folder.name}", (folder / "planted").write_text, "planted")
        self._try(f"link into {folder.name}", os.symlink, self.secret, folder / "link")
        for name in found or ():  # files that the service has taken
            for path, _, files in os.walk(folder / name):
                for file in files:
                    self._swap_for_link(Path(path, file))
            self._try(f"plant in {folder.name}", os.symlink, self.secret, folder / name / "x.txt")

    def _swap_for_link(self, path: Path) -> None:
        self._try(f"read {path.name}", path.read_bytes)
        self._try("remove what was taken", path.unlink)
        self._try("plant a link", os.symlink, self.secret, path)

    def _rename_own_folders(self) -> None:
        for folder in self.own:
            aside = folder.with_name(f"{folder.name}.aside")
            if self._try(f"rename {folder.name}", os.rename, folder, aside) is not None:
                os.symlink(self.secret.parent, folder)

    def _swap_a_folder(self) -> None:
        """Swap a folder with files and a link to the service's own folder, repeatedly."""
        folder, link, aside = self.inbox / "swap", self.inbox / ".link", self.inbox / ".folder"
        if not folder.exists():
            folder.mkdir(mode=0o777)
            folder.chmod(0o2777)
            link.symlink_to(self.secret.parent)
        number = self.swaps
        (folder / f".{number}").write_text(f"swap {number}\n")
        os.rename(folder / f".{number}", folder / self.secret.name if number % 3 else folder / f"{number}.txt")
        os.rename(folder, aside)
        os.rename(link, folder)
        os.rename(folder, link)
        os.rename(aside, folder)
        self.swaps += 1

    def _swap_a_file(self) -> None:
        """Replace a file by a link to the secret, and by a second name of a result, just when it may be taken."""
        path, link = self.inbox / f"file {self.swaps % 50}.txt", self.inbox / ".filelink"
        hidden = self.inbox / ".file"
        hidden.write_text(f"file {self.swaps}\n")
        hidden.chmod(0o666)
        if not link.is_symlink():
            link.symlink_to(self.secret)
        os.rename(hidden, path)
        if self.swaps % 2:
            os.rename(link, path)
        for result in itertools.islice(self._results(), 1):
            for file in result.iterdir():
                self._try_harmless(os.link, file, self.inbox / f".{self.swaps}.linked")
        self.swaps += 1

    def _try_harmless(self, call: Callable[..., object], *arguments: object) -> None:
        try:
            call(*arguments)
        except OSError as error:
            if error.errno not in _REFUSED:
                raise

    def _results(self) -> Iterator[Path]:
        for path, folders, files in os.walk(self.outbox):
            folders[:] = [name for name in folders if not name.startswith(".")][:20]
            if "result.json" in files or "error.json" in files:
                yield Path(path)

    def _spoil(self, result: Path) -> None:
        """Change a published result."""
        self._try("make a file in a result", (result / "planted").write_text, "planted")
        for file in result.iterdir():
            self._try(f"write {file.name} of a result", self._append, file)
            self._try(f"remove {file.name} of a result", file.unlink)
            self._try(f"rename {file.name} of a result", file.rename, file.with_name("renamed"))
            self._try(f"open {file.name} to all", file.chmod, 0o666)
        self._try("rename a result", result.rename, result.with_name("renamed"))

    def _append(self, file: Path) -> None:
        with file.open("ab") as opened:
            opened.write(b"spoilt")


def main() -> None:
    inbox, outbox, secret, user, group = sys.argv[1:]
    os.setgroups([])
    os.setgid(int(group))
    os.setuid(int(user))
    os.umask(0o002)
    member = Member(Path(inbox), Path(outbox), Path(secret))
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        member.attack()
        if member.swaps % 100 == 0:
            print(member.swaps, flush=True)
    print(json.dumps({"swaps": member.swaps, "done": sorted(member.done)}), flush=True)


if __name__ == "__main__":
    main()
