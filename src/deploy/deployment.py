"""From a checkout to a running stack: the steps of `image`, `install` and `up`, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy import contract, host, image, stack
from deploy.unitfiles import load_contract

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def build(
    targets: Sequence[str] = image.TARGETS,
    *,
    builder: str | None,
    no_cache: bool = False,
    archive_dir: Path | None = None,
    assume_yes: bool = False,
) -> list[image.Image]:
    """Build the named targets where missing or stale; the units decide the arguments."""
    arguments = contract.build_args(load_contract())
    host.ensure_stack_packages(assume_yes=assume_yes)
    return [
        image.ensure(target, arguments, builder=builder, no_cache=no_cache, archive_dir=archive_dir)
        for target in targets
    ]


def install(
    *,
    port: int | None = None,
    builder: str | None = None,
    archive_dir: Path | None = None,
    assume_yes: bool = False,
) -> set[str]:
    """Everything that `systemctl --user start todo-backend` needs; names what changed."""
    build(builder=builder, archive_dir=archive_dir, assume_yes=assume_yes)
    return stack.prepare(port=port)


def up(
    *,
    port: int | None = None,
    builder: str | None = None,
    archive_dir: Path | None = None,
    assume_yes: bool = False,
) -> str:
    """Install, start, and wait until the backend is ready; returns its URL."""
    changed = install(port=port, builder=builder, archive_dir=archive_dir, assume_yes=assume_yes)
    stack.start(changed)
    return stack.wait_ready()
