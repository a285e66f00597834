"""Setting of the C library's allocator that returns the memory of large responses to the system.

glibc maps large blocks one by one, and unmaps them when they are freed. Once a program has freed
such a block, glibc takes the next ones of that size from its heap, which shrinks only at its end.
Sixty responses of 4 MB left holes of 200 MiB. A fixed threshold prevents that.
"""

import ctypes

_M_MMAP_THRESHOLD = -3
MAPPED_BYTES = 128 * 1024
"""From this size on a block is mapped: glibc's own value at the start of a program."""


def map_large_blocks() -> bool:
    """Map large blocks one by one from now on; return whether the C library can."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES) == 1
