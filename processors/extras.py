"""The extras of the package, such as `inboxd[speech]`: the libraries of each, and the command that installs one.

Only checks whether the libraries are installed; imports none of them.
"""

import json
import os
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

LIBRARIES: Mapping[str, tuple[str, ...]] = {  # by extra: the packages to import, as in pyproject.toml
    "speech": ("av", "silero_vad", "torch", "whisper"),
    "vlm": ("accelerate", "huggingface_hub", "torch", "transformers"),
    "documents": ("kreuzberg", "olefile", "selectolax"),
    "faster-whisper": ("ctranslate2", "faster_whisper"),
    "quantized": ("bitsandbytes",),
    "ray": ("ray",),
}

_GPU = Path("/dev/nvidiactl")
_CLONE = Path(__file__).parents[1]


def why_missing(*extras: str, python: str | None = None) -> str:
    """Return why `extras` are missing, and the command that installs them; "" if they are installed.

    `python`: the interpreter of another environment, whose libraries are not known here.
    """
    if python is not None and python != sys.executable:
        return ""
    wanted = [extra for extra in extras if missing_libraries(extra)]
    if not wanted:
        return ""
    libraries = ", ".join(dict.fromkeys(name for extra in wanted for name in missing_libraries(extra)))
    return f"{libraries} {'are' if ',' in libraries else 'is'} not installed. Run: {command_to_add(wanted)}"


def missing_libraries(extra: str) -> list[str]:
    """The libraries of an extra that are not installed."""
    return [name for name in LIBRARIES[extra] if not _is_installed(name)]


def command_to_add(extras: list[str]) -> str:
    """The shell command that installs `extras`, for an installation by pip, pipx, uv or make."""
    if os.environ.get("INBOXD_IN_CONTAINER"):
        return f"make image TORCH={'cuda' if _GPU.exists() else 'cpu'}, and use that image"
    parts = Path(sys.prefix).parts
    if "pipx" in parts:
        return f"pipx install --force {_requirement(extras, keep=True)}"
    if parts[-3:-1] == ("uv", "tools"):
        return f"uv tool install {_requirement(extras, keep=True)}"
    if (_CLONE / "pyproject.toml").is_file():
        return f"make -C {_CLONE} install"
    return f"{sys.executable} -m pip install {_requirement(extras, keep=False)}"


def _requirement(extras: list[str], *, keep: bool) -> str:
    """The package with `extras`, quoted for a shell. keep: name the installed extras too, because pipx and uv replace
    the environment."""
    kept = [extra for extra in LIBRARIES if keep and not missing_libraries(extra)]
    source = _source()
    return f'"inboxd[{",".join(dict.fromkeys([*kept, *extras]))}]{f" @ {source}" if source else ""}"'


def _source() -> str:
    """The URL of the wheel or the repository that this package was installed from; "" if it was an index.

    As the installer recorded it in direct_url.json: https://packaging.python.org/en/latest/specifications/direct-url
    """
    try:
        recorded = json.loads(distribution("inboxd").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return ""
    url, repository = recorded.get("url", ""), recorded.get("vcs_info")
    return f"{repository['vcs']}+{url}@{repository['commit_id']}" if url and repository else url


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # ValueError: a module that a test put in its place has no spec
        return name in sys.modules
