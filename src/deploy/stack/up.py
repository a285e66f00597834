"""Implementation of `image`, `install` and `up`, from a checkout to a running stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy import progress
from deploy.host import packages
from deploy.image import build as image_build
from deploy.image import reproducible
from deploy.stack import (
    backups,
    instances,
    lifecycle,
    local_model,
    postgresql,
    release_notes,
    update_timer,
)
from deploy.stack.local_model import UNCHANGED, Request
from deploy.stack.services import has_ai, has_backups

if TYPE_CHECKING:
    from collections.abc import Sequence


def build(
    options: image_build.Options,
    targets: Sequence[str] = image_build.TARGETS,
    *,
    assume_yes: bool = False,
) -> list[image_build.Image]:
    """Build missing and stale images, and report the actions that a new PostgreSQL requires."""
    packages.ensure_stack_packages(assume_yes=assume_yes)
    release = release_notes.find_release()
    built = [
        image_build.ensure(target, postgresql.find_target_arguments(target), options)
        for target in targets
    ]
    for demand in release_notes.find_demands(release, release_notes.find_release()):
        progress.say(demand)
    return built


def verify(
    target: str, options: image_build.Options, *, assume_yes: bool = False
) -> reproducible.Comparison:
    """Build a target twice, and compare the results."""
    packages.ensure_stack_packages(assume_yes=assume_yes)
    return reproducible.verify(target, postgresql.find_target_arguments(target), options)


def install(
    options: image_build.Options,
    *,
    port: int | None = None,
    ai: Request = UNCHANGED,
    number: int | None = None,
    backup: backups.Request = backups.UNCHANGED,
    updates: bool | None = None,
    assume_yes: bool = False,
) -> set[str]:
    """Install images, secret and units without starting the stack, and return the changed units."""
    lifecycle.check_port(port, moving=False)
    instances.check(number)
    update_timer.check(wanted=updates)
    _provide(options, ai, assume_yes=assume_yes)
    changed = {*lifecycle.prepare(ai, number, backup).files, *lifecycle.set_port(port)}
    if ai.wanted is False:
        local_model.remove()
    if backup.wanted is False:
        backups.remove_from_database()
    return changed | update_timer.set_wanted(wanted=updates, starts=False)


def up(
    options: image_build.Options,
    *,
    port: int | None = None,
    ai: Request = UNCHANGED,
    number: int | None = None,
    backup: backups.Request = backups.UNCHANGED,
    updates: bool | None = None,
    assume_yes: bool = False,
) -> str:
    """Install and start the stack, wait until the backend is ready, and return its URL.

    None keeps the current port, number of instances and choice of the update timer.

    Raises:
        DeployError: A unit did not start; the backend works without the optional parts.
    """
    lifecycle.check_port(port, moving=True)
    instances.check(number)
    update_timer.check(wanted=updates)
    _provide(options, ai, assume_yes=assume_yes)
    url = lifecycle.start(lifecycle.prepare(ai, number, backup), port=port)
    if ai.wanted is False:
        local_model.remove()
    if backup.wanted is False:
        backups.remove_from_database()
    update_timer.set_wanted(wanted=updates, starts=False)
    start_optional()
    return url


def start() -> str:
    """Start the installed stack, wait until the backend is ready, and return its URL.

    Raises:
        DeployError: As for `up`.
    """
    with progress.step("Reading the units") as step:
        stale = lifecycle.reload(step)
    url = lifecycle.start(lifecycle.Prepared(frozenset(), frozenset(stale)))
    start_optional()
    return url


def start_optional() -> None:
    """Start the installed optional parts; running ones continue.

    Raises:
        DeployError: A part did not start; the backend works without it.
    """
    if has_ai():
        local_model.start()
    if has_backups():
        backups.start()
    update_timer.set_wanted(wanted=None, starts=True)


def _provide(options: image_build.Options, ai: Request, *, assume_yes: bool) -> None:
    """Build the images, and copy a custom model into its volume."""
    targets = (*image_build.TARGETS, *([image_build.AI] if ai.applies() else []))
    build(options, targets, assume_yes=assume_yes)
    if ai.model:
        local_model.copy(ai.model)
