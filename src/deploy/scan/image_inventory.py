"""Inventory of an image from its own records: dpkg status, wheel metadata and SBOM."""

from __future__ import annotations

import dataclasses
import email.parser
import hashlib
import json
import re
import stat
import urllib.parse
from typing import TYPE_CHECKING, Any

from deploy.scan.report import Scanned, Vulnerability

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from deploy.image.archive import Archive

_REPLACED = "not as built: a later layer adds it again"
_STATUS = "var/lib/dpkg/status"
_OS_RELEASE = "usr/lib/os-release"
_STATUS_FOLDER = "var/lib/dpkg/status.d/"  # one file per package, as in images without dpkg
_SBOM = re.compile(r"usr/share/sbom/[^/]+\.cdx\.json")
_METADATA = re.compile(r"(?:.*/)?[^/]+\.(?:dist-info/METADATA|egg-info(?:/PKG-INFO)?)")
_WHEEL = re.compile(r"(?:.*/)?(?P<name>[^-/]+)-(?P<version>[^-/]+)-[^/]+\.whl")
_VENDORED = re.compile(r".*\.(?:libs|dylibs)/[^/]*\.so[.0-9]*")
_COMPILED = re.compile(r".*/(?:dist|site)-packages/(?P<top>[^/]+?)(?:/.*)?\.so")
_DEBIAN_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_DEBIAN_VERSION = re.compile(r"[A-Za-z0-9.+~:-]+")
_DEBIAN_ARCHITECTURE = re.compile(r"[a-z0-9-]+")
_PYTHON_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_PYTHON_VERSION = re.compile(r"[A-Za-z0-9.+!_-]+")
_SOURCE = "the image"


@dataclasses.dataclass(frozen=True)
class Package:
    """A Debian package, or a Python distribution with a normalized name and no architecture."""

    name: str
    version: str
    architecture: str = ""


@dataclasses.dataclass(frozen=True)
class Inventory:
    """Packages and libraries in an image, and its faulty records.

    Attributes:
        image: Name of the image, such as `backend`.
        config_digest: Image ID.
        vendored: Paths of shared libraries in wheels.
        compiled: Python packages with compiled modules.
        files: Number of files and links.
        findings: Contradictory or unreadable records of the image.
        release: Code name of the Debian release; empty if unknown.
    """

    image: str
    reference: str
    config_digest: str
    debian: tuple[Package, ...]
    python: tuple[Package, ...]
    vendored: tuple[str, ...]
    compiled: tuple[str, ...]
    files: int
    findings: tuple[Vulnerability, ...]
    release: str = ""

    @property
    def digest(self) -> str:
        """Digest of the packages, equal for images that differ only in the application."""
        packages = [(one.name, one.version, one.architecture) for one in self.debian + self.python]
        return hashlib.sha256(json.dumps(packages).encode()).hexdigest()

    @property
    def summary(self) -> Scanned:
        """Summary of the image for a report."""
        unseen = []
        if self.compiled:
            unseen.append(
                f"C and Rust code compiled into {', '.join(self.compiled)}: only advisories of "
                "the packages themselves are found"
            )
        if self.vendored:
            unseen.append(f"vulnerabilities of libraries inside wheels: {', '.join(self.vendored)}")
        counts = {
            "Debian packages": len(self.debian),
            "Python distributions": len(self.python),
            "libraries inside wheels": len(self.vendored),
            "files": self.files,
        }
        return Scanned(self.image, self.reference, self.config_digest, counts, tuple(unseen))


def read(archive: Archive, image: str, reference: str) -> Inventory:
    """Return the inventory of a saved image."""
    debian: list[Package] = []
    python: list[Package] = []
    findings: list[Vulnerability] = []
    for path, entry in archive.entries.items():
        if entry.info.isdir():
            continue
        try:
            if path == _STATUS or path.startswith(_STATUS_FOLDER):
                debian += debian_packages(_text(archive, path))
            elif _METADATA.fullmatch(path):
                python += python_package(_text(archive, path))
            elif wheel := _WHEEL.fullmatch(path):
                python.append(Package(normalized(wheel["name"]), wheel["version"]))
        except ValueError as error:
            what = f"cannot read /{path}: {error}"
            findings.append(_finding(image, path.rpartition("/")[2], "", "unreadable", what))
    if not debian:
        what = f"neither /{_STATUS} nor /{_STATUS_FOLDER} lists any package"
        findings.append(_finding(image, "dpkg", "", "no-packages", what))
    sboms = [archive.find(path) for path in archive.entries if _SBOM.fullmatch(path)]
    sbom = sboms[0].decode(errors="replace") if len(sboms) == 1 and sboms[0] else None
    files = {path for path, entry in archive.entries.items() if not entry.info.isdir()}
    raising = {
        path
        for path, entry in archive.entries.items()
        if entry.info.isreg() and entry.info.mode & (stat.S_ISUID | stat.S_ISGID)
    }
    findings += _missing(image, set(archive.replaced), "replaced-file", _REPLACED)
    findings += _missing(image, raising, "raises-user", "setuid or setgid")
    findings += contradictions(
        image,
        {("deb", one.name): _versions(debian, one.name) for one in debian}
        | {("pypi", one.name): _versions(python, one.name) for one in python},
        {path: archive.contents.get(path, "") for path in files},
        sbom,
    )
    return Inventory(
        image=image,
        reference=reference,
        config_digest=archive.config_digest,
        debian=tuple(sorted(set(debian), key=dataclasses.astuple)),
        python=tuple(sorted(set(python), key=dataclasses.astuple)),
        vendored=tuple(f"/{path}" for path in archive.entries if _VENDORED.fullmatch(path)),
        compiled=tuple(_compiled(archive.entries)),
        files=len(files),
        findings=tuple(findings),
        release=_find_release(archive.find(_OS_RELEASE) or b""),
    )


def _find_release(text: bytes) -> str:
    found = re.search(rb'^VERSION_CODENAME="?([a-z]+)"?$', text, re.MULTILINE)
    return found[1].decode() if found else ""


def debian_packages(status: str) -> Iterator[Package]:
    """Yield the installed packages of a dpkg status file; raise ValueError for invalid fields."""
    for stanza in re.split(r"\n\s*\n", status.strip("\n")):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*?)[ \t]*$", stanza, re.MULTILINE))
        if not fields:
            continue
        # Files in status.d may lack the Status field, because they list only installed packages.
        if not fields.get("Status", "installed").endswith("installed"):
            continue
        if fields.get("Status", "").endswith("not-installed"):
            continue
        yield Package(
            _valid(_DEBIAN_NAME, fields.get("Package", ""), "package name"),
            _valid(_DEBIAN_VERSION, fields.get("Version", ""), "version"),
            _valid(_DEBIAN_ARCHITECTURE, fields.get("Architecture", "all"), "architecture"),
        )


def python_package(metadata: str) -> list[Package]:
    """Return the distribution of a METADATA or PKG-INFO file; raise ValueError if it is invalid."""
    fields = email.parser.HeaderParser().parsestr(metadata)
    name = _valid(_PYTHON_NAME, fields.get("Name", ""), "name of a distribution")
    version = _valid(_PYTHON_VERSION, fields.get("Version", ""), "version")
    return [Package(normalized(name), version)]


def normalized(name: str) -> str:
    """Return the normalized name of a Python distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def contradictions(
    image: str,
    inside: Mapping[tuple[str, str], frozenset[str]],
    files: Mapping[str, str],
    sbom: str | None,
) -> list[Vulnerability]:
    """Return the contradictions between an SBOM and the image.

    `inside` maps the kind (`deb` or `pypi`) and the name of a package to its versions. `files` has
    the format of `Archive.contents`.
    """
    if sbom is None:
        what = "/usr/share/sbom must contain exactly one SBOM"
        return [_finding(image, "sbom", "", "sbom-missing", what)]
    try:
        components = json.loads(sbom)["components"]
        listed: dict[tuple[str, str], set[str]] = {}
        for component in components:
            if found := _purl(component.get("purl", "")):
                listed.setdefault(found[0], set()).add(found[1])
        located = dict(_located(components))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"the SBOM is not a CycloneDX document: {error!r}"
        return [_finding(image, "sbom", "", "sbom-unreadable", what)]
    findings = []
    for kind, name in sorted(inside.keys() | listed.keys()):
        here = inside.get((kind, name), frozenset())
        there = frozenset(listed.get((kind, name), ()))
        for version in sorted(here - there):
            other = f", which names {', '.join(sorted(there))}" if there else ""
            what = f"is in the image but not in its SBOM{other}"
            findings.append(_finding(image, name, version, "sbom-lacks", what))
        for version in sorted(there - here):
            what = "is in the SBOM but not in the image"
            findings.append(_finding(image, name, version, "sbom-exceeds", what))
    lacking, exceeding = files.keys() - located.keys(), located.keys() - files.keys()
    # The SBOM cannot contain its own hash.
    altered = {
        path
        for path in files.keys() & located.keys()
        if files[path] != located[path] and not _SBOM.fullmatch(path)
    }
    findings += _missing(image, lacking, "sbom-lacks-file", "in the image but not in its SBOM")
    findings += _missing(image, exceeding, "sbom-exceeds-file", "in its SBOM but not in the image")
    findings += _missing(image, altered, "sbom-other-content", "different from its SBOM entry")
    return findings


def _missing(image: str, paths: set[str], identity: str, where: str) -> Iterator[Vulnerability]:
    if paths:
        example = f"/{min(paths)}"
        more = f" and {len(paths) - 1} more files are" if len(paths) > 1 else " is"
        yield _finding(image, "sbom", "", identity, f"{example}{more} {where}")


def _purl(purl: str) -> tuple[tuple[str, str], str] | None:
    """Return ((kind, name), version) of a Debian or Python package URL, otherwise None."""
    match = re.fullmatch(r"pkg:(deb/debian|pypi)/([^@/?#]+)@([^?#]+)(?:[?#].*)?", purl)
    if not match:
        return None
    kind, name, version = match[1], urllib.parse.unquote(match[2]), urllib.parse.unquote(match[3])
    if kind == "pypi":
        return ("pypi", normalized(name)), version
    return ("deb", name), version


def _located(components: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the path and content, as in `Archive.contents`, of each file in an SBOM."""
    for component in components:
        if component.get("type") == "file":
            hashes = [one["content"] for one in component.get("hashes", ())]
            links = [one["value"] for one in component.get("properties", ())]
            content = [f"sha256:{one}" for one in hashes] + [f"-> {one}" for one in links]
            yield component["name"].lstrip("/"), "".join(content)
        yield from _located(component.get("components", ()))


def _versions(packages: Iterable[Package], name: str) -> frozenset[str]:
    return frozenset(one.version for one in packages if one.name == name)


def _compiled(paths: Iterable[str]) -> list[str]:
    tops = {match["top"] for match in map(_COMPILED.fullmatch, paths) if match}
    return sorted({top.partition(".")[0] for top in tops if not top.endswith((".libs", ".dylibs"))})


def _text(archive: Archive, path: str) -> str:
    content = archive.find(path)
    if content is None:
        raise ValueError("it is not a regular file")
    return content.decode()


def _valid(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"{text!r} is not a {what}")
    return text


def _finding(image: str, package: str, version: str, identity: str, what: str) -> Vulnerability:
    return Vulnerability(image, "image", package, version, identity, what, sources=(_SOURCE,))
