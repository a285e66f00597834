"""Memory allocator setting that returns the memory of large responses to the system.

glibc maps each large block separately and unmaps it when it is freed. Once a program has freed such
a block, glibc allocates that size from the heap, which shrinks only at its end: sixty responses of
4 MB left 200 MiB of holes. A fixed threshold prevents that.
"""

import ctypes

_M_MMAP_THRESHOLD = -3
MAPPED_BYTES = 128 * 1024
"""Minimum size of a separately mapped block: glibc's initial threshold."""


def map_large_blocks() -> bool:
    """Map large blocks separately from now on; return whether the C library supports that."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES) == 1
