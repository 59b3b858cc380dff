"""The limits of the process that reads one document, and its request."""

import ctypes
import resource
import signal
from dataclasses import dataclass

_PR_SET_PDEATHSIG = 1  # prctl(2)
_STACK_BYTES = 64 * 1024 * 1024
_OUTPUT_BYTES = 4 * 1024**3


@dataclass(frozen=True, kw_only=True)
class Limits:
    memory_bytes: int
    cpu_seconds: int

    def apply(self) -> None:
        """Limit this process; it ends with its parent."""
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_DATA, (self.memory_bytes, self.memory_bytes))
        resource.setrlimit(resource.RLIMIT_CPU, (self.cpu_seconds, self.cpu_seconds + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        wanted = _OUTPUT_BYTES if most == resource.RLIM_INFINITY else min(most, _OUTPUT_BYTES)
        resource.setrlimit(resource.RLIMIT_FSIZE, (wanted, most))
