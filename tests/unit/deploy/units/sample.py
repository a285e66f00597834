"""The sample units of the compiler's tests, and its golden files.

`UPDATE_GOLDEN=1 python3 -m pytest tests/unit/deploy` writes the golden files anew; read the diff.
"""

import functools
import os
from pathlib import Path

from deploy.units.compiler import compile_contract
from deploy.units.loader import load_units
from deploy.units.parser import Unit, parse_unit
from deploy.units.spec import Contract

DATA = Path(__file__).parent / "data"


def sample_texts() -> dict[str, str]:
    return dict(_sample_texts())


@functools.cache
def _sample_texts() -> tuple[tuple[str, str], ...]:
    return tuple((path.name, path.read_text()) for path in sorted((DATA / "units").iterdir()))


def parse_all(texts: dict[str, str]) -> list[Unit]:
    return [parse_unit(f"quadlet/{name}", text) for name, text in texts.items()]


def compile_with(name: str, old: str, new: str) -> Contract:
    """The sample's contract after replacing a piece of one unit."""
    texts = sample_texts()
    assert old in texts[name]
    texts[name] = texts[name].replace(old, new)
    return compile_contract(parse_all(texts))


@functools.cache
def sample_contract() -> Contract:
    return compile_contract(load_units(DATA / "units"))


def golden(name: str, actual: str) -> str:
    """Return the content of the golden file, after updating it if requested."""
    path = DATA / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(actual)
    return path.read_text()
