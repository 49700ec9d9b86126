"""What a process may take of its machine, and took; Windows tells neither."""

from __future__ import annotations

import sys

try:
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]

KIBIBYTES = sys.platform != "darwin"  # `ru_maxrss` there counts bytes


def most_memory() -> int | None:
    """Return the most bytes that this process had; None where the system does not say."""
    if resource is None:
        return None
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1024 if KIBIBYTES else 1)


def open_files(needed: int) -> int | None:
    """Let this process open so many files; return how many it may, where these are fewer, and None where it may."""
    if resource is None:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return None
    if hard != resource.RLIM_INFINITY and needed > hard:
        return int(hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return None
