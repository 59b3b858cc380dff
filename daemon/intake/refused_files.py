"""Files that inboxd refuses, such as links, and options files of other users, which it ignores."""

from pathlib import Path

from daemon.files.inbox import Inbox
from daemon.intake.left_files import LeftFiles
from daemon.intake.options_files import FOLDER_FILE, why_untrusted
from daemon.intake.path_states import FileStates


class RefusedFiles:
    """Called by the main thread only."""

    def __init__(self, inbox: Inbox, states: FileStates, left: LeftFiles):
        self._inbox = inbox
        self._states = states
        self._left = left
        self._due: dict[Path, None] = {}  # to be reviewed, in order

    def review_all(self) -> None:
        """Have `next_due` return every refused file: no scan of a folder finds them."""
        self._due |= {path: None for path, state in self._states if state.is_refused}

    @property
    def has_due(self) -> bool:
        return bool(self._due)

    def next_due(self) -> Path | None:
        """The next file to be reviewed; returned only once."""
        path = next(iter(self._due), None)
        if path is not None:
            del self._due[path]
        return path

    def review(self, path: Path) -> None:
        """Report why inboxd refuses or ignores the file at `path`; clear the report once that no longer applies."""
        try:
            why = None if path.name == FOLDER_FILE else self._inbox.refusal(path)
            why = why or why_untrusted(self._inbox, path)
        except OSError:  # the next review tries again
            return
        state = self._states.get(path)
        if why is not None:
            self._states.of(path).is_refused = True
            self._left.report(path, why)
        elif state is not None and state.is_refused:
            state.is_refused = False
            self._states.discard_empty(path)
            self._left.clear(path)
