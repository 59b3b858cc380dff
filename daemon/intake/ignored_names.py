"""The names that inboxd never takes: temporary files, and files that NAS boxes, sync programs and desktops create.

Pure. The tables always apply; `[inbox] ignore` in config.toml adds patterns.
"""

import functools
import re
from collections.abc import Sequence
from fnmatch import translate
from pathlib import PurePath

# Upper and lower case count as equal. Sources: the manuals and the default exclude lists of the programs named, such as
# Syncthing's lib/ignore, Nextcloud's sync-exclude.lst, GitHub's gitignore templates and the Samba and NAS vendors' own.
DOWNLOAD_SUFFIXES = (".part", ".partial", ".crdownload", ".download", ".opdownload", ".filepart")  # during downloads
_SUFFIXES = (
    *DOWNLOAD_SUFFIXES,  # Firefox, KDE, wget-like tools; Edge, rsync --partial-dir; Chromium; Safari; Opera; WinSCP
    ".aria2",  # aria2's control file
    ".!ut",  # µTorrent
    ".!qb",  # qBittorrent
    ".!bt",  # BitComet, BitTorrent
    ".bc!",  # BitComet
    ".bt!",
    ".!sync",  # Resilio Sync
    ".bts",  # BitTorrent Sync
    ".part.met",  # eMule
    ".fdmdownload",  # Free Download Manager
    ".jc!",  # FlashGet
    ".dtapart",  # DownThemAll
    ".xltd",  # Thunder
    ".ffs_tmp",  # FreeFileSync, and its two other kinds of files
    ".ffs_lock",
    ".ffs_db",
    ".tmp",
    ".temp",
    ".swp",  # vim
    ".swo",
    ".swx",
    ".lock",
    ".lck",
    ".laccdb",  # Access
    ".dwl",  # AutoCAD
    ".dwl2",
    "@synoeastream",  # Synology: extended attributes
    "@synoresource",
    ":zone.identifier",  # a Windows data stream, copied as a file
    ":encryptable",
    "~",  # backups of Emacs, gedit, vim
)
_PREFIXES = (
    ".",  # hidden: also .syncthing.NAME.tmp, .stversions, ._sync_*.db, .dropbox.cache, .nfs0000, .fuse_hidden0000,
    # .smbdelete0000, .DS_Store, ._NAME, .~lock.NAME#, .Trash-1000, rsync's .NAME.XXXXXX
    "~$",  # the owner files of Office
    "~syncthing~",  # Syncthing on Windows
    "smbdelete",  # macOS, on an SMB share that does not hide dot files
    "fuse_hidden",
    "synofile_thumb",  # Synology: thumbnails and previews
    "synophoto_thumb",
    "synophoto_film",
)
_NAMES = frozenset(
    {
        # desktops
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "icon\r",  # macOS
        "autorun.inf",
        "photothumb.db",
        "zbthumbnail.info",
        "picasa.ini",
        "aquota.user",
        "aquota.group",
        # folders of operating systems
        "$recycle.bin",
        "recycler",
        "system volume information",
        "indexervolumeguid",
        "wpsettings.dat",
        "found.000",
        "pagefile.sys",
        "hiberfil.sys",
        "swapfile.sys",
        "lost+found",
        "__macosx",
        "network trash folder",
        "temporary items",
        "dfsrprivate",
        # folders of NAS boxes: Synology, QNAP, NetApp
        "#recycle",
        "#snapshot",
        "@eadir",
        "@tmp",
        "@sharebin",
        "@sharesnap",
        "@recycle",
        "@recently-snapshot",
        "@__thumb",
        "~snapshot",
        # folders of sync programs
        "_gsdata_",  # GoodSync
        "stversions",
    }
)
_OTHERS = re.compile(
    r".*\.goutputstream-.*"  # GLib
    r"|#.*\#"  # autosaves of Emacs
    r"|.*\.sb-[0-9a-f]{8}-[0-9a-z]{6}",  # safe saves of macOS
    re.DOTALL,
)


def is_ignored(name: str) -> bool:
    """True for a name of a file or folder that inboxd never takes: see the tables above."""
    name = name.lower()
    return (
        name.startswith(_PREFIXES) or name.endswith(_SUFFIXES) or name in _NAMES or _OTHERS.fullmatch(name) is not None
    )


class IgnorePatterns:
    """The patterns of `[inbox] ignore`. One without "/" matches the name of a file or folder; one with "/", a path
    relative to the inbox. A folder that matches is ignored with everything in it."""

    def __init__(self, patterns: Sequence[str]):
        paths = [pattern for pattern in patterns if "/" in pattern.rstrip("/")]
        self._names = _compile([pattern for pattern in patterns if pattern not in paths])
        self._paths = _compile(paths)

    def match(self, relative: PurePath) -> bool:
        """True for a path relative to the inbox that is ignored, or is in an ignored folder."""
        if self._names is not None and any(self._names.match(part.lower()) for part in relative.parts):
            return True
        if self._paths is None:
            return False
        lower = [part.lower() for part in relative.parts]
        return any(self._paths.match("/".join(lower[: length + 1])) for length in range(len(lower)))


@functools.lru_cache(maxsize=4)
def ignore_patterns(patterns: tuple[str, ...]) -> IgnorePatterns | None:
    """The compiled patterns; None: there are none."""
    return IgnorePatterns(patterns) if patterns else None


def _compile(patterns: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(translate(pattern.rstrip("/").lower()) for pattern in patterns)) if patterns else None
