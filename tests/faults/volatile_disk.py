"""A disk with a volatile write cache, for power cuts: a FUSE file for a loop device to lie on.

What is written stays in the memory of this program until a flush (fsync of the file, to which a
loop device turns each flush and each forced write) makes it durable in the image file. SIGUSR1 cuts
the power: of the blocks that were not flushed, each survives or is lost at random, as a disk writes
in any order; from then on nothing is answered, so that nobody takes a flush for done. SIGUSR2, when
everybody who waits for an answer is doomed, fails all requests, so that the kernel can let go. The
next run of this program on the same image is the disk after the cut.

Speaks the kernel's protocol (fuse(4), include/uapi/linux/fuse.h) itself: one file, mounted on one.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import random
import select
import signal
import stat
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 4096
"""The sector size of the loop device: every write is whole blocks."""
_MAX_WRITE = 1024 * 1024
_BUFFER = _MAX_WRITE + 4096
_IN_HEADER = struct.Struct("<IIQQIIIHH")
_OUT_HEADER = struct.Struct("<IiQ")
_INIT_IN = struct.Struct("<IIII")
_INIT_OUT = struct.Struct("<IIIIHHIIHHII24x")
_ATTR = struct.Struct("<6Q10I")
_ATTR_OUT = struct.Struct("<QII")
_TRANSFER_IN = struct.Struct("<QQIIQII")
_OPEN, _READ, _WRITE, _RELEASE, _FSYNC, _FLUSH, _INIT = 14, 15, 16, 18, 20, 25, 26
_FORGET, _GETATTR, _INTERRUPT, _DESTROY, _BATCH_FORGET = 2, 3, 36, 38, 42
_DATA = {_READ, _WRITE, _FSYNC}
_SILENT = {_FORGET, _INTERRUPT, _BATCH_FORGET}
_BIG_WRITES, _MAX_PAGES = 1 << 5, 1 << 22
_VALID_S = 3600


class Disk:
    """The blocks: durable ones in the image, unflushed ones here.

    Args:
        image: File of the durable blocks; its size is that of the disk.
        seed: Decides which unflushed blocks a power cut leaves.
    """

    def __init__(self, image: Path, seed: int) -> None:
        self.size = image.stat().st_size
        self._image = os.open(image, os.O_RDWR)
        self._unflushed: dict[int, bytes] = {}
        self._random = random.Random(seed)  # noqa: S311 - no secret

    def read(self, offset: int, size: int) -> bytes:
        """Bytes as the last write left them."""
        found = bytearray(os.pread(self._image, size, offset))
        if self._unflushed:
            for at in range(0, len(found), BLOCK):
                block = self._unflushed.get((offset + at) // BLOCK)
                if block is not None:
                    found[at : at + BLOCK] = block
        return bytes(found[:size])

    def write(self, offset: int, content: bytes) -> None:
        """Keep whole blocks until a flush."""
        if offset % BLOCK or len(content) % BLOCK:
            raise ValueError(offset, len(content))
        for at in range(0, len(content), BLOCK):
            self._unflushed[(offset + at) // BLOCK] = content[at : at + BLOCK]

    def flush(self) -> None:
        """Make durable what was written."""
        for number, block in self._unflushed.items():
            os.pwrite(self._image, block, number * BLOCK)
        self._unflushed.clear()

    def cut(self) -> dict[str, int]:
        """Lose unflushed blocks at random; return how many there were, and how many are lost."""
        blocks = list(self._unflushed.items())
        kept = [each for each in blocks if self._random.random() < 0.5]
        self._unflushed = dict(kept)
        self.flush()
        return {"unflushed": len(blocks), "lost": len(blocks) - len(kept)}


class Server:
    """Answers the kernel's requests for one disk.

    Args:
        disk: The disk.
        device: Descriptor of /dev/fuse.
    """

    def __init__(self, disk: Disk, device: int) -> None:
        self._disk = disk
        self._device = device
        self._failing = False
        self._answers: dict[int, Callable[[bytes], bytes]] = {
            _INIT: self._init,
            _GETATTR: self._get_attributes,
            _OPEN: lambda _: struct.pack("<QIi", 1, 0, 0),
            _READ: self._read,
            _WRITE: self._write,
            _FSYNC: self._fsync,
            **dict.fromkeys((_RELEASE, _FLUSH, _DESTROY), lambda _: b""),
        }

    def serve(self) -> None:
        """Answer until the file system is unmounted."""
        waker, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake)
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, lambda *_: None)
        waiting = [self._device, waker]
        while True:
            ready, _, _ = select.select(waiting, [], [])
            if waker in ready:
                for caught in os.read(waker, 64):
                    if caught == signal.SIGUSR1:
                        sys.stdout.write(json.dumps(self._disk.cut()) + "\n")
                        sys.stdout.flush()
                        waiting = [waker]
                    elif caught == signal.SIGUSR2:
                        self._failing = True
                        waiting = [self._device, waker]
            elif not self._answer():
                return

    def _answer(self) -> bool:
        try:
            request = os.read(self._device, _BUFFER)
        except OSError as error:
            if error.errno == errno.ENODEV:  # unmounted
                return False
            if error.errno in {errno.ENOENT, errno.EINTR, errno.EAGAIN}:  # withdrawn meanwhile
                return True
            raise
        _, opcode, unique, *_ = _IN_HEADER.unpack_from(request)
        if opcode in _SILENT:
            return True
        code, answer = self._find_answer(opcode, request[_IN_HEADER.size :])
        header = _OUT_HEADER.pack(_OUT_HEADER.size + len(answer), -code, unique)
        try:
            os.write(self._device, header + answer)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
        return bool(opcode != _DESTROY)

    def _find_answer(self, opcode: int, body: bytes) -> tuple[int, bytes]:
        """The error code, or 0, and what follows the header."""
        if opcode in _DATA and self._failing:
            return errno.EIO, b""
        if opcode not in self._answers:
            return errno.ENOSYS, b""
        return 0, self._answers[opcode](body)

    def _get_attributes(self, _body: bytes) -> bytes:
        size = self._disk.size
        times = (0, 0, 0)
        mode = stat.S_IFREG | 0o600
        attributes = (1, size, size // 512, *times, *times, mode, 1, 0, 0, 0, BLOCK, 0)
        return _ATTR_OUT.pack(_VALID_S, 0, 0) + _ATTR.pack(*attributes)

    def _read(self, body: bytes) -> bytes:
        _, offset, size, *_ = _TRANSFER_IN.unpack_from(body)
        return self._disk.read(offset, size)

    def _write(self, body: bytes) -> bytes:
        _, offset, size, *_ = _TRANSFER_IN.unpack_from(body)
        self._disk.write(offset, body[_TRANSFER_IN.size : _TRANSFER_IN.size + size])
        return struct.pack("<II", size, 0)

    def _fsync(self, _body: bytes) -> bytes:
        self._disk.flush()
        return b""

    def _init(self, body: bytes) -> bytes:
        major, minor, readahead, flags = _INIT_IN.unpack_from(body)
        flags &= _BIG_WRITES | _MAX_PAGES
        pages = _MAX_WRITE // 4096
        limits = (12, 9, _MAX_WRITE, 1, pages, 0, 0, 0)
        return _INIT_OUT.pack(major, min(minor, 31), readahead, flags, *limits)


def mount(target: Path) -> int:
    """Mount a FUSE file on a file; return the descriptor over which it is served."""
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode={stat.S_IFREG:o},user_id=0,group_id=0,allow_other"
    libc = ctypes.CDLL(None, use_errno=True)
    mounted = libc.mount(b"volatile-disk", os.fsencode(target), b"fuse", 0, options.encode())
    if mounted != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(target))
    return device


def main(image: str, target: str, seed: str) -> int:
    """Serve the image as the file TARGET until that is unmounted."""
    server = Server(Disk(Path(image), int(seed)), mount(Path(target)))
    sys.stdout.write("mounted\n")
    sys.stdout.flush()
    server.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
