"""Scan of the images: queries the sources and merges their findings."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

from deploy import command_hints, progress, waivers
from deploy.errors import DeployError, ExitCode
from deploy.image import archive, build, builder
from deploy.scan import debian as scan_debian
from deploy.scan import image_inventory as scan_inventory
from deploy.scan import python as scan_python
from deploy.scan import report as scan_report
from deploy.scan.report import AdvisorySource, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from deploy.scan.image_inventory import Inventory
    from deploy.scan.report import Vulnerability

    Answer = tuple[AdvisorySource, list[Vulnerability]]

_TIMEOUT_S = 30.0
_BRIEF_TIMEOUT_S = 3.0


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of a scan.

    Attributes:
        advisories: File of OSV records, used instead of the live service.
        offline: Whether to skip sources that require the network.
        builder: Image whose apt is used; None for the bootstrapped builder.
        brief: Whether to use short timeouts and no progress output.
    """

    advisories: Path | None = None
    offline: bool = False
    builder: str | None = None
    brief: bool = False

    @property
    def timeout_s(self) -> float:
        """Timeout in seconds for a server that does not respond."""
        return _BRIEF_TIMEOUT_S if self.brief else _TIMEOUT_S


def run(references: Mapping[str, str], options: Options = Options()) -> Report:
    """Scan images; the report lists the sources that could not be reached.

    `references` maps names in the report, such as `backend`, to image references or IDs.

    Raises:
        DeployError: An image does not exist, or the exceptions or the advisories are malformed.
    """
    complete = references == {target: build.reference(target) for target in find_targets()}
    return judge(read(references, options), options, complete=complete)


def find_targets() -> list[str]:
    """Return the targets of every stack, and the model server's if its image exists locally."""
    there = build.find(build.AI) is not None
    return [target for target in build.ALL_TARGETS if there or target != build.AI]


def require_clean(target: str, options: Options = Options(), *, reference: str = "") -> Report:
    """Scan an image, by default the one that the units use, and require a clean report.

    Raises:
        DeployError: There are findings, a source could not be queried, or `run` failed.
    """
    report = run({target: reference or build.reference(target)}, options)
    if report.exit_code != ExitCode.OK:
        problems = [source.problem for source in report.sources if source.problem]
        raise DeployError(
            f"the {target} image does not pass the scan: "
            + "; ".join([scan_report.render_claim(report).rstrip("."), *problems]),
            hint=f"{command_hints.build(f'scan --target {target}')} shows the details",
            code=ExitCode.UNAVAILABLE if problems else ExitCode.FAILED,
        )
    return report


def read(references: Mapping[str, str], options: Options = Options()) -> list[Inventory]:
    """Read the inventories of images; `references` as in `run`.

    Raises:
        DeployError: An image does not exist, or the disk is full.
    """
    inventories = []
    with builder.scratch() as scratch:
        for name, reference in references.items():
            step = _step(f"Reading {reference}", options)
            with step, archive.saved(reference, scratch) as saved:
                inventories.append(scan_inventory.read(saved, name, reference))
    return inventories


def judge(
    inventories: Sequence[Inventory], options: Options = Options(), *, complete: bool = False
) -> Report:
    """Query all sources about the packages of images, and merge their findings.

    Unused exceptions are reported only if these are all images (`complete`).

    Raises:
        DeployError: The exceptions or the file of advisories are missing or malformed.
    """
    entries = waivers.load().scan
    findings = [finding for inventory in inventories for finding in inventory.findings]
    sources: list[AdvisorySource] = []
    for name, ask in _to_ask(inventories, options):
        hopeless = options.brief and any(one.problem for one in sources)
        local = name == scan_python.NAME and options.advisories
        if options.offline and not local:
            source = AdvisorySource(name, left_out=True, detail="it needs the network")
        elif hopeless and not local:
            source = AdvisorySource(
                name, problem="skipped, because other sources could not be reached"
            )
        else:
            source, found = _answer(name, ask, options)
            findings += found
        sources.append(source)
    left, accepted = scan_report.accept(
        scan_report.merge(findings),
        entries,
        dt.datetime.now(dt.UTC).date(),
        complete=complete and all(source.answered for source in sources),
    )
    return Report(
        images=tuple(inventory.summary for inventory in inventories),
        debian=sources[0],
        python=sources[1],
        findings=tuple(left),
        accepted=tuple(accepted),
    )


def _to_ask(
    inventories: Sequence[Inventory], options: Options
) -> list[tuple[str, Callable[[], Answer]]]:
    """Return the queries of Debian's index and of the Python advisories, in that order."""
    timeout_s = options.timeout_s
    ca_bundle = build.find_ca_bundle()
    file = options.advisories

    def debian() -> Answer:
        base = options.builder or builder.ensure()
        return scan_debian.check(inventories, base, timeout_s=timeout_s, ca_bundle=ca_bundle)

    def python() -> Answer:
        if file:
            return scan_python.check_file(inventories, file)
        return scan_python.check_live(inventories, timeout_s=timeout_s, ca_bundle=ca_bundle)

    return [(scan_debian.NAME, debian), (scan_python.NAME, python)]


def _answer(name: str, ask: Callable[[], Answer], options: Options) -> Answer:
    try:
        with _step(f"Asking: {name}", options):
            return ask()
    except DeployError as error:
        if error.code in {ExitCode.USAGE, ExitCode.DATA, ExitCode.NO_SPACE}:
            raise  # not a network error: the user's input is wrong, or the disk is full
        return AdvisorySource(name, problem=error.message, hint=error.hint), []


def _step(title: str, options: Options) -> contextlib.AbstractContextManager[object]:
    return contextlib.nullcontext() if options.brief else progress.step(title)
