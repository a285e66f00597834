"""Token buckets of rate limits, in this process or in a file that instances share."""

import contextlib
import fcntl
import mmap
import os
import struct
from collections import OrderedDict
from contextlib import AbstractContextManager
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol

from todo.core.exit import ExitCode, FatalError

# Maximum number of buckets; the least recently used one is dropped, which refills it.
MAX_KEYS = 10_000


class Bucket(NamedTuple):
    """Permits of a bucket at a monotonic time in seconds; negative permits are owed."""

    level: float
    at: float


class Buckets(Protocol):
    """Storage of token buckets by key; callers hold `lock` from a read to the following write."""

    lock: AbstractContextManager[object]

    def find(self, key: str) -> Bucket | None:
        """Return the bucket, or None if it was not used recently."""

    def store(self, key: str, bucket: Bucket) -> None:
        """Store the bucket as the most recently used one."""


class LocalBuckets:
    """Token buckets of one process, in bounded memory."""

    lock: AbstractContextManager[object] = contextlib.nullcontext()

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def find(self, key: str) -> Bucket | None:
        """See `Buckets`."""
        return self._buckets.get(key)

    def store(self, key: str, bucket: Bucket) -> None:
        """See `Buckets`."""
        if key not in self._buckets and len(self._buckets) >= MAX_KEYS:
            self._buckets.popitem(last=False)
        self._buckets[key] = bucket
        self._buckets.move_to_end(key)


_SLOT = struct.Struct("=Qdd")  # hash of the key (0: free), level, time
_SLOTS_OF_A_HASH = 8
_SLOTS = 1 << 15
_SIZE = _SLOTS * _SLOT.size
# The lock is held for a few microseconds, unless its process is stopped or not scheduled.
_TRIES = 100


class SharedBuckets:
    """Token buckets that several processes of one machine share in a memory-mapped file.

    The hash of a key selects a group of eight slots, which it shares with other keys; if all are in
    use, the least recently used bucket is dropped. A process waits only briefly for the lock,
    because its holder may be stopped. Without it, two processes may take the same permit.

    Args:
        file: Path of the file, the same in all processes; it is created if missing.
        name: Name of the limit; a key has a separate bucket for each limit.

    Raises:
        OSError: The file cannot be opened or mapped.
    """

    def __init__(self, file: Path, name: str) -> None:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # This keeps the buckets of an existing file; the zeros of a new file are free slots.
        os.truncate(descriptor, _SIZE)
        self._memory = mmap.mmap(descriptor, _SIZE)
        self._name = name.encode()
        self.lock: AbstractContextManager[object] = _FileLock(descriptor)

    def find(self, key: str) -> Bucket | None:
        """See `Buckets`."""
        number, first = self._locate(key)
        for at in self._slots(first):
            found, level, time = _SLOT.unpack_from(self._memory, at)
            if found == number:
                return Bucket(level, time)
        return None

    def store(self, key: str, bucket: Bucket) -> None:
        """See `Buckets`."""
        number, first = self._locate(key)
        oldest, oldest_time = first, float("inf")
        for at in self._slots(first):
            found, _, time = _SLOT.unpack_from(self._memory, at)
            if found == number:
                oldest = at
                break
            time = time if found else float("-inf")
            if time < oldest_time:
                oldest, oldest_time = at, time
        _SLOT.pack_into(self._memory, oldest, number, *bucket)

    def _locate(self, key: str) -> tuple[int, int]:
        """Return the hash of a key, and the offset of its first slot."""
        digest = blake2b(key.encode(errors="surrogatepass"), digest_size=8, key=self._name)
        number = int.from_bytes(digest.digest()) or 1
        group = number % (_SLOTS // _SLOTS_OF_A_HASH)
        return number, group * _SLOTS_OF_A_HASH * _SLOT.size

    @staticmethod
    def _slots(first: int) -> range:
        return range(first, first + _SLOTS_OF_A_HASH * _SLOT.size, _SLOT.size)


def open_buckets(instance_file: Path | None, name: str) -> Buckets:
    """Return the buckets of a limit, which are shared if there is an instance file.

    Raises:
        FatalError: The shared file cannot be opened.
    """
    if instance_file is None:
        return LocalBuckets()
    # A hidden file, because all other files in the folder belong to instances.
    file = instance_file.parent / ".limits"
    try:
        return SharedBuckets(file, name)
    except OSError as error:
        message = f"TODO_INSTANCE_FILE: cannot open {file}: {error.strerror}"
        raise FatalError(ExitCode.CONFIGURATION, message) from None


class _FileLock:
    """Lock between processes on a file; acquiring it gives up after about a millisecond."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> None:
        for _ in range(_TRIES):
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.sched_yield()
            else:
                return

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN)
