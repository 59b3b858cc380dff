"""Finds out what a complete file still waits for: a done mark, its prompt, valid options. Changes no file.

The messages are for the person who put the file into the inbox.
"""

import contextlib
import functools
from collections.abc import Sequence
from pathlib import Path

from daemon.config.current import CurrentSettings
from daemon.config.settings import Settings
from daemon.core.job import Entry
from daemon.core.names import DONE_SUFFIX, MAX_SIDECAR_BYTES, OPTIONS_SUFFIX, SIDECAR_SUFFIXES, printable_path
from daemon.files.inbox import Inbox
from daemon.intake import unsupported
from daemon.intake.filetype import Content
from daemon.intake.ignored_names import DOWNLOAD_SUFFIXES
from daemon.intake.options_files import FOLDER_FILE, InvalidOptions, too_large
from daemon.intake.overrides import Choice, choose, options_of
from daemon.intake.path_states import FileState, Mistake, Snapshot

_EMPTY = unsupported.EMPTY


class Prerequisites:
    """Checks complete files."""

    def __init__(self, settings: CurrentSettings, inbox: Inbox):
        self._settings = settings
        self._inbox = inbox

    def check(
        self, path: Path, state: FileState, content: Content, sidecars: Sequence[Entry], now: float
    ) -> Choice | str:
        """Return the recipe and options of a complete file, or the reason why it cannot be taken yet.

        Raises:
            OSError: a sidecar or options file cannot be read.
        """
        settings = self._settings.value
        folder = printable_path(path.parent.relative_to(self._inbox.path))
        rules = settings.folder(folder)
        beside = {sidecar.path.suffix: sidecar.path for sidecar in sidecars}
        if why := _too_large(sidecars) or (self._download_of(path) if content.media_type == _EMPTY else None):
            return why
        if rules.wait_for_done and DONE_SUFFIX not in beside:
            return f"it waits for {path.name}{DONE_SUFFIX}, which marks it as complete."
        if not sidecars and rules.wait_for_sidecar:
            if state.grace_since is None:
                state.grace_since = now
            if now < state.grace_since + rules.wait_for_sidecar:
                return f"it waits up to {rules.wait_for_sidecar:g} s for its sidecars."
        choice = self._choose(path, state, content, sidecars, settings)
        if isinstance(choice, Mistake):
            return choice.why
        if choice.recipe is None and rules.unsupported == "leave":
            why = unsupported.explain(content.kind, content.media_type, size_bytes=1, folder=folder)
            return f"it is not supported. {why}"
        if ".prompt" not in beside and lacks_prompt(settings, choice):
            return f"it waits for its prompt: write it to {path.name}.prompt in the same folder."
        return choice

    def _download_of(self, path: Path) -> str | None:
        """A message if an empty file is the placeholder of a download: Firefox creates it while it writes NAME.part."""
        for download in (path.with_name(path.name + suffix) for suffix in DOWNLOAD_SUFFIXES):
            if self._inbox.entry(download):
                return f"it is the placeholder of the unfinished download {download.name}."
        return None

    def _choose(
        self, path: Path, state: FileState, content: Content, sidecars: Sequence[Entry], settings: Settings
    ) -> Choice | Mistake:
        """The recipe and options of a file, or the mistake in them.

        Options with a mistake are parsed again only after a change: parsing may take a third of a second, and would
        delay all other files.
        """
        known = state.mistake
        options_file = next((each.path for each in sidecars if each.path.suffix == OPTIONS_SUFFIX), None)
        read = functools.partial(choose, settings, self._inbox, path.parent, content.kind, options_file)
        if known is None and options_file is None:  # the common case
            with contextlib.suppress(InvalidOptions):
                return read()
        found = self._snapshot(path)  # before the options are read, so that a later change makes the snapshot differ
        if known and (known.sidecars, known.snapshot, known.settings) == (tuple(sidecars), found, settings):
            return known
        try:
            return read()
        except InvalidOptions as error:
            why = f"its options are wrong: {error}"
            state.mistake = Mistake(snapshot=found, sidecars=tuple(sidecars), settings=settings, why=why)
            return state.mistake

    def _snapshot(self, path: Path) -> Snapshot:
        entry = self._inbox.entry(path)
        return snapshot(self._inbox, entry) if entry else ()


def lacks_prompt(settings: Settings, choice: Choice) -> bool:
    """True if the recipe, or a step in its `then`, needs a prompt, and no option of the file or the recipe has one."""
    recipe = settings.recipes.get(choice.recipe or "")
    if recipe is None:
        return False
    options = options_of(recipe, choice.options)
    following = [settings.recipes[name] for name in options.then if name in settings.recipes]
    return recipe.cls.wants_prompt(options) or any(each.cls.wants_prompt(each.recipe_options) for each in following)


def snapshot(inbox: Inbox, entry: Entry) -> Snapshot:
    """The state of a file, its sidecars and the options files of its folders, to compare with a later one.

    Taking a file and returning it does not change its snapshot.
    """
    path = entry.path
    above = [path.parent, *path.parent.parents]
    beside = [path.with_name(path.name + suffix) for suffix in SIDECAR_SUFFIXES]
    beside += [folder / FOLDER_FILE for folder in above if folder.is_relative_to(inbox.path)]
    found: list[Entry | None] = [entry]
    for each in beside:
        try:
            found.append(inbox.entry(each))
        except Exception:  # an unreadable file counts as missing until its error goes away
            found.append(None)
    return tuple((each.inode, each.size_bytes, each.mtime_ns) if each else None for each in found)


def _too_large(sidecars: Sequence[Entry]) -> str | None:
    for sidecar in sidecars:
        limit = MAX_SIDECAR_BYTES[sidecar.path.suffix]
        if sidecar.size_bytes > limit:
            return too_large(sidecar.path.name, limit)
    return None
