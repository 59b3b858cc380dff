"""What some tests need beyond Python: programs, namespaces, mounts, a terminal. Where it is missing, they skip and name
the reason. Use as a call in the test or in a fixture."""

import functools
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest


def program(name: str) -> None:
    """Skip unless the program is installed."""
    if shutil.which(name) is None:
        pytest.skip(f"needs the program {name}")


def llama() -> str:
    """The interpreter of an environment with llama.cpp's server (xllamacpp) and gguf: INBOXD_TEST_LLAMA, or this one.
    Skip if there is none."""
    if named := os.environ.get("INBOXD_TEST_LLAMA"):
        return named
    if not all(map(find_spec, ("xllamacpp", "gguf"))):
        pytest.skip("needs xllamacpp and gguf: name the interpreter of their environment in INBOXD_TEST_LLAMA")
    return sys.executable


def mounts() -> None:
    """Skip unless this user may mount a file system in a mount namespace (`unshare --mount`)."""
    if why := _why_not("--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"):
        pytest.skip(f"needs the right to mount: {why}")


def mounted(folder: Path, *options: str) -> None:
    """Mount a tmpfs on `folder`; skip if that is not possible. The caller unmounts it."""
    program("mount")
    done = subprocess.run(["mount", "-t", "tmpfs", *options, "inboxd-test", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs the right to mount: {done.stderr.strip()}")


def network_namespace() -> None:
    """Skip unless this user may create a network namespace."""
    if why := _why_not("--net", "true"):
        pytest.skip(f"needs a network namespace: {why}")


def terminal() -> None:
    """Skip unless there are pseudo-terminals (/dev/pts)."""
    try:
        ours, theirs = os.openpty()
    except OSError as error:
        pytest.skip(f"needs a pseudo-terminal: {error.strerror}")
    os.close(ours)
    os.close(theirs)


@functools.cache
def _why_not(*command: str) -> str:
    """The reason why `unshare` with these arguments fails; "" if it does not."""
    if shutil.which("unshare") is None:
        return "the program unshare is not installed"
    done = subprocess.run(["unshare", *command], capture_output=True, text=True)
    return (done.stderr.strip() or f"unshare exits with {done.returncode}") if done.returncode else ""
