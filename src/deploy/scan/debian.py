"""Pending fixes of Debian packages, found by apt itself with the current signed indexes."""

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
"""Timeout of the whole response, as a multiple of the timeout of one silent server."""
_HURRY_S = 10.0
"""Minimum timeout with which requests are retried."""
_MARK = "=== "
"""Prefix of the headings in the output, which apt never prints."""

# Everything that is asked comes in as files, none of it as words of the script.
# An image of another release than the builder's is held against the same suites of its own release.
# Their signatures are checked. Their age is not, as a mirror may hold expired ones: it is reported.
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
    """One of the indexes that apt has checked the signature of.

    Attributes:
        codename: Such as `trixie-security`.
        date: When it was made.
    """

    codename: str
    date: dt.datetime


@dataclasses.dataclass(frozen=True)
class Policy:
    """Policy of apt for a package.

    Attributes:
        installed: The version inside the image.
        candidate: The version that an upgrade would install.
        table: Every version that apt knows with the suites that have it, the newest first.
    """

    installed: str
    candidate: str
    table: tuple[tuple[str, tuple[str, ...]], ...]


def check(
    inventories: Sequence[Inventory], builder: str, *, timeout_s: float, ca_bundle: Path | None
) -> tuple[AdvisorySource, list[Vulnerability]]:
    """Return the Debian packages of the images that have a newer version, according to apt.

    Args:
        inventories: Contents of the images.
        builder: Image whose apt runs; its sources are Debian's.
        timeout_s: Seconds to wait for a server that does not respond.
        ca_bundle: Certificates of this host, for sources behind a TLS proxy.

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
    """The packages in lists without a name twice: dpkg's status can hold one version of each."""
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
    """Return the configuration that apt takes from the folder of the question."""
    architectures = sorted({one.architecture for one in packages} - {"all", ""}) or ["amd64"]
    listed = " ".join(f'"{name}";' for name in architectures)
    return "\n".join(
        [
            # apt would switch to a separate user, which it has no privilege for here.
            'APT::Sandbox::User "root";',
            # An index that cannot be had is an error. By default it is a warning.
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
    """Return a dpkg status file by which exactly these are installed."""
    stanzas = (
        f"Package: {one.name}\nStatus: install ok installed\n"
        f"Architecture: {one.architecture or 'all'}\nVersion: {one.version}\n"
        for one in packages
    )
    return "\n".join(stanzas)


def render_names(packages: Iterable[Package]) -> str:
    """Return the packages as apt's command line takes them, one a line."""
    return "".join(
        f"{one.name}\n" if one.architecture in {"all", ""} else f"{one.name}:{one.architecture}\n"
        for one in packages
    )


def parse(answer: str) -> tuple[list[Release], dict[str, dict[str, Policy]]]:
    """Return the indexes that were read, and file of the question -> package -> policy.

    Raises:
        KeyError: A field is missing; likewise IndexError and ValueError.
    """
    releases = []
    policies = {}
    for part in re.split(rf"^{_MARK}", answer, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        if head == "release":
            fields = dict(re.findall(r"^(\w+): (.*)$", body, re.MULTILINE))
            date = email.utils.parsedate_to_datetime(fields["Date"])
            # Of "-0000" Python makes a time without a zone.
            aware = date if date.tzinfo else date.replace(tzinfo=dt.UTC)
            releases.append(Release(fields["Codename"], aware))
        else:
            policies[Path(head).stem] = parse_policies(body)
    return releases, policies


def parse_policies(text: str) -> dict[str, Policy]:
    """Package -> what `apt-cache policy` says about it."""
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
    """Return the pending fix of a package, or that it is unknown; None when it is up to date.

    Raises:
        DeployError: apt's answer is not about this version of it.
    """
    if policy is None or policy.installed != package.version:
        raise DeployError(f"apt returned nothing about {package.name} {package.version}")
    # The archive's package and the installed one are two rows even where the version is one.
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
    """Run the question in a container of the builder, which is gone afterwards in any case."""
    container = f"todo-scan-{secrets.token_hex(4)}"
    bundle = [f"--volume={ca_bundle}:/etc/ssl/certs/ca-certificates.crt:ro"] if ca_bundle else []
    argv = [
        "podman",
        "run",
        "--rm",
        f"--name={container}",
        "--pull=never",
        # The way to the network that this machine has, with its proxy and its resolver.
        "--network=host",
        "--read-only",
        "--tmpfs=/tmp",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        # SELinux would keep the container from reading these files of the user's.
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
            if causes and error.code is ExitCode.FAILED:  # its first complaint says most
                error.message = f"apt failed: {causes[0]}"
        # Whether or not it ended with its client: its other processes would continue to download.
        process.run(["podman", "rm", "--force", "--time=0", "--ignore", container], check=False)
        raise
