"""Pending fixes of Debian packages, found by apt with the current signed indexes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import email.utils
import itertools
import re
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import process
from deploy.errors import DeployError, ExitCode
from deploy.scan.report import AdvisorySource, Vulnerability

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from deploy.scan.image_inventory import Inventory, Package

NAME = "Debian index"

_WHOLE = 10.0
"""Timeout of the whole run, as a multiple of the timeout for one unresponsive server."""
_HURRY_S = 10.0
"""Requests are retried only if their timeout is at least this long."""
_MARK = "=== "
"""Prefix of headings in the output, which apt never prints."""

# Package names come from files and are never part of the script. If an image has a release other
# than the builder's, it is compared with the same suites of its own release. Signatures are
# verified. The age of an index is only reported, because mirrors may serve expired indexes.
_SCRIPT = f"""\
set -eu
. /usr/lib/os-release
own=$VERSION_CODENAME
mkdir -p /tmp/cache/archives/partial
for release in "$own" $(cat /ask/*.release); do
  [ ! -e "/tmp/$release.conf" ] || continue
  mkdir -p "/tmp/$release/partial"
  export APT_CONFIG="/tmp/$release.conf"
  cat /ask/apt.conf > "$APT_CONFIG"
  echo "Dir::State::Lists \\"/tmp/$release\\";" >> "$APT_CONFIG"
  if [ "$release" != "$own" ]; then
    sed "s/ $own/ $release/" < /tmp/sources > "/tmp/$release.list"
    echo "Dir::Etc::SourceList \\"/tmp/$release.list\\";" >> "$APT_CONFIG"
    echo 'Dir::Etc::SourceParts "-";' >> "$APT_CONFIG"
  fi
  apt-get --quiet update >&2
  [ "$release" != "$own" ] || apt-get indextargets "Created-By: Packages" --format \
    'deb [check-valid-until=no] $(REPO_URI) $(RELEASE) $(COMPONENT)' > /tmp/sources
done
for index in /tmp/*/*InRelease; do
  echo "{_MARK}release"
  sed -n -e '/^-----BEGIN PGP SIGNATURE/q' -e '/^\\(Codename\\|Date\\):/p' "$index"
done
for status in /ask/*.status; do
  echo "{_MARK}$status"
  release=$(cat "${{status%.status}}.release")
  export APT_CONFIG="/tmp/${{release:-$own}}.conf"
  xargs apt-cache --option="Dir::State::status=$status" policy < "${{status%.status}}.names"
done
"""


@dataclasses.dataclass(frozen=True)
class Release:
    """An index, such as `trixie-security`, whose signature apt has verified."""

    codename: str
    date: dt.datetime


@dataclasses.dataclass(frozen=True)
class Policy:
    """Output of `apt-cache policy`; the table has all versions, newest first, with their suites."""

    installed: str
    candidate: str
    table: tuple[tuple[str, tuple[str, ...]], ...]


def check(
    inventories: Sequence[Inventory], builder: str, *, timeout_s: float, ca_bundle: Path | None
) -> tuple[AdvisorySource, list[Vulnerability]]:
    """Compare the Debian packages in the images with apt's indexes; return the source and findings.

    apt runs in a container of the image `builder`. `timeout_s` applies to each server.

    Raises:
        DeployError: The indexes cannot be downloaded, or apt's output cannot be parsed.
    """
    asked = {
        f"{number}-{turn}": (inventory, packages)
        for number, inventory in enumerate(inventories)
        for turn, packages in enumerate(batches(inventory.debian))
    }
    with tempfile.TemporaryDirectory(prefix="todo-scan-") as name:
        folder = Path(name)
        everything = [package for _, packages in asked.values() for package in packages]
        (folder / "apt.conf").write_text(render_apt_conf(everything, timeout_s))
        (folder / "ask.sh").write_text(_SCRIPT)
        for key, (inventory, packages) in asked.items():
            (folder / f"{key}.release").write_text(f"{inventory.release}\n")
            (folder / f"{key}.status").write_text(render_status(packages))
            (folder / f"{key}.names").write_text(render_names(packages))
        answer = _ask(folder, builder, timeout_s, ca_bundle)
    try:
        releases, policies = parse(answer)
    except (IndexError, KeyError, ValueError) as error:
        raise DeployError(f"cannot parse the output of apt in {builder}: {error!r}") from error
    if not any(release.codename.endswith("-security") for release in releases):
        raise DeployError(
            f"the apt sources of {builder} do not include Debian security",
            hint="use a builder with the suites, -updates and -security of Debian",
            code=ExitCode.CONFIG,
        )
    found = (
        find(inventory.image, package, policies[key].get(package.name))
        for key, (inventory, packages) in asked.items()
        for package in packages
    )
    return _describe(inventories, releases), [finding for finding in found if finding]


def batches(packages: Iterable[Package]) -> list[list[Package]]:
    """Split packages into lists with unique names: a dpkg status has one version per name."""
    lists: list[list[Package]] = []
    for package in packages:
        free = (one for one in lists if all(other.name != package.name for other in one))
        found = next(free, None)
        if found is None:
            lists.append([package])
        else:
            found.append(package)
    return lists


def render_apt_conf(packages: Iterable[Package], timeout_s: float) -> str:
    """Return the configuration file of apt."""
    architectures = sorted({one.architecture for one in packages} - {"all", ""}) or ["amd64"]
    listed = " ".join(f'"{name}";' for name in architectures)
    return "\n".join(
        [
            # By default apt switches to another user, for which it lacks the privilege here.
            'APT::Sandbox::User "root";',
            # A failed download of an index is an error; by default it is a warning.
            'APT::Update::Error-Mode "any";',
            f'APT::Architecture "{architectures[0]}";',
            f"APT::Architectures {{ {listed} }};",
            'Dir::Cache "/tmp/cache";',
            'Acquire::Languages "none";',
            f'Acquire::Retries "{0 if timeout_s < _HURRY_S else 2}";',
            f'Acquire::http::Timeout "{timeout_s:.0f}";',
            f'Acquire::https::Timeout "{timeout_s:.0f}";',
            "",
        ]
    )


def render_status(packages: Iterable[Package]) -> str:
    """Return a dpkg status file that lists the packages as installed."""
    stanzas = (
        f"Package: {one.name}\nStatus: install ok installed\n"
        f"Architecture: {one.architecture or 'all'}\nVersion: {one.version}\n"
        for one in packages
    )
    return "\n".join(stanzas)


def render_names(packages: Iterable[Package]) -> str:
    """Return the packages as arguments of apt, one per line."""
    return "".join(
        f"{one.name}\n" if one.architecture in {"all", ""} else f"{one.name}:{one.architecture}\n"
        for one in packages
    )


def parse(answer: str) -> tuple[list[Release], dict[str, dict[str, Policy]]]:
    """Parse the script's output; return the indexes, and the policies by status file and package.

    Raises:
        KeyError: A field is missing. Other malformed output raises IndexError or ValueError.
    """
    releases = []
    policies = {}
    for part in re.split(rf"^{_MARK}", answer, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        if head == "release":
            fields = dict(re.findall(r"^(\w+): (.*)$", body, re.MULTILINE))
            date = email.utils.parsedate_to_datetime(fields["Date"])
            # Python parses "-0000" as a time without a zone.
            aware = date if date.tzinfo else date.replace(tzinfo=dt.UTC)
            releases.append(Release(fields["Codename"], aware))
        else:
            policies[Path(head).stem] = parse_policies(body)
    return releases, policies


def parse_policies(text: str) -> dict[str, Policy]:
    """Parse the output of `apt-cache policy`; return the policies by package name."""
    found = {}
    for part in re.split(r"^(?=\S)", text, flags=re.MULTILINE):
        lines = part.splitlines()
        if not lines:
            continue
        name = lines[0].partition(":")[0]
        fields = dict(re.findall(r"^  (Installed|Candidate): (.*)$", part, re.MULTILINE))
        table: list[tuple[str, tuple[str, ...]]] = []
        for line in lines:
            if version := re.fullmatch(r" (?:\*\*\*|   ) (\S+) -?\d+", line):
                table.append((version[1], ()))
            elif origin := re.fullmatch(r" {8,}-?\d+ \S+ (\S+?)/\S+ \S+ Packages", line):
                last, suites = table[-1]
                table[-1] = (last, tuple(dict.fromkeys((*suites, origin[1]))))
        found[name] = Policy(fields["Installed"], fields["Candidate"], tuple(table))
    return found


def find(image: str, package: Package, policy: Policy | None) -> Vulnerability | None:
    """Return the finding for an outdated or unknown package; None if it is up to date.

    Raises:
        DeployError: The output of apt lacks this version of the package.
    """
    if policy is None or policy.installed != package.version:
        raise DeployError(f"apt returned nothing about {package.name} {package.version}")
    # The archive's and the installed package have separate rows, even with the same version.
    suites: dict[str, tuple[str, ...]] = {}
    for version, there in policy.table:
        suites[version] = (*suites.get(version, ()), *there)
    if policy.candidate != policy.installed:
        newer = itertools.takewhile(lambda version: version != policy.installed, suites)
        security = any(
            suite.endswith("-security") for version in newer for suite in suites[version]
        )
        at = suites.get(policy.candidate, ())
        return _finding(
            image,
            package,
            f"{at[0] if at else 'debian'}/{policy.candidate}",
            f"pending {'security fix' if security else 'update'}",
            fixed=(policy.candidate,),
        )
    if not suites.get(policy.installed):
        known = ", ".join(version for version, there in suites.items() if there) or "none of it"
        return _finding(image, package, "not-in-the-index", f"unknown: Debian has {known}")
    return None


def _finding(
    image: str, package: Package, identity: str, what: str, fixed: tuple[str, ...] = ()
) -> Vulnerability:
    return Vulnerability(
        image,
        "debian",
        package.name,
        package.version,
        identity,
        what,
        fixed=fixed,
        sources=(NAME,),
    )


def _describe(inventories: Sequence[Inventory], releases: Sequence[Release]) -> AdvisorySource:
    count = sum(len(inventory.debian) for inventory in inventories)
    security = [release for release in releases if release.codename.endswith("-security")]
    dated = ", ".join(f"{release.codename} of {release.date.date()}" for release in releases)
    return AdvisorySource(
        NAME,
        asked=f"{count} packages",
        as_of=min(release.date for release in security),
        detail=dated,
    )


def _ask(folder: Path, builder: str, timeout_s: float, ca_bundle: Path | None) -> str:
    """Run the script in a container of the builder image, and always remove the container."""
    container = f"todo-scan-{secrets.token_hex(4)}"
    bundle = [f"--volume={ca_bundle}:/etc/ssl/certs/ca-certificates.crt:ro"] if ca_bundle else []
    argv = [
        "podman",
        "run",
        "--rm",
        f"--name={container}",
        "--pull=never",
        # apt uses the host's proxy and resolver.
        "--network=host",
        "--read-only",
        "--tmpfs=/tmp",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        # Otherwise SELinux denies access to the user's files.
        "--security-opt=label=disable",
        f"--volume={folder}:/ask:ro",
        *bundle,
        "--env=APT_CONFIG=/ask/apt.conf",
        # The timeout of an unreachable resolver is otherwise half a minute.
        f"--env=RES_OPTIONS=timeout:{max(1, timeout_s / 3):.0f} attempts:1",
        "--entrypoint=/bin/sh",
        builder,
        "/ask/ask.sh",
    ]
    try:
        return process.run(argv, timeout_s=_WHOLE * timeout_s).stdout
    except BaseException as error:
        if isinstance(error, process.ToolError) and error.completed:
            said = error.completed.stderr.splitlines()
            causes = [line.partition(" ")[2] for line in said if line.startswith("E: ")]
            error.message = error.message.replace("podman", "apt", 1)
            if causes and error.code is ExitCode.FAILED:  # the first error is the most specific
                error.message = f"apt failed: {causes[0]}"
        # The container may outlive its client and continue to download.
        process.run(["podman", "rm", "--force", "--time=0", "--ignore", container], check=False)
        raise
