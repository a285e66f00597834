"""Library dependencies of programs and libraries, read with binutils."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable

_MAGIC = b"\x7fELF"
_NEEDED = re.compile(r"\(NEEDED\).*\[(.+)\]")


def elf_files(root: pathlib.Path) -> list[pathlib.Path]:
    """Return the sorted programs and libraries below a folder, without symbolic links."""
    return [path for path in sorted(root.rglob("*")) if _is_elf(path)]


def needed_libraries(root: pathlib.Path) -> dict[pathlib.Path, list[str]]:
    """Return each ELF file below a folder -> names of the libraries that it is linked with."""
    return {
        path: _NEEDED.findall(_output("readelf", "--dynamic", str(path)))
        for path in elf_files(root)
    }


def strip(paths: Iterable[pathlib.Path]) -> None:
    """Remove unneeded symbols from libraries in place."""
    for path in paths:
        subprocess.run(["strip", "--strip-unneeded", path], check=True)


def _is_elf(path: pathlib.Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _output(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
