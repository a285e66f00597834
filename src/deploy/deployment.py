"""From a checkout to a running stack: the steps of `image`, `install` and `up`, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy import contract, host_packages, image, reproduce
from deploy.stack import lifecycle
from deploy.unitfiles import load_contract

if TYPE_CHECKING:
    from collections.abc import Sequence


def build(
    options: image.Options,
    targets: Sequence[str] = image.TARGETS,
    *,
    assume_yes: bool = False,
) -> list[image.Image]:
    """Build the named targets where missing or stale; the units decide the arguments."""
    arguments = contract.build_args(load_contract())
    host_packages.ensure_stack_packages(assume_yes=assume_yes)
    return [image.ensure(target, arguments, options) for target in targets]


def verify(target: str, options: image.Options, *, assume_yes: bool = False) -> reproduce.Verdict:
    """Build a target twice and compare; the units decide the arguments."""
    arguments = contract.build_args(load_contract())
    host_packages.ensure_stack_packages(assume_yes=assume_yes)
    return reproduce.verify(target, arguments, options)


def install(
    options: image.Options, *, port: int | None = None, assume_yes: bool = False
) -> set[str]:
    """Everything that `systemctl --user start todo-backend` needs; names what changed."""
    lifecycle.check_port(port, moving=False)
    build(options, assume_yes=assume_yes)
    return {*lifecycle.prepare().files, *lifecycle.set_port(port)}


def up(options: image.Options, *, port: int | None = None, assume_yes: bool = False) -> str:
    """Install, start, and wait until the backend is ready; returns its URL."""
    lifecycle.check_port(port, moving=True)
    build(options, assume_yes=assume_yes)
    return lifecycle.start(lifecycle.prepare(), port=port)
