import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.scan import image_inventory as scan_inventory
from deploy.scan.image_inventory import Inventory, Package
from tests.unit.deploy.oci_layout import write_image

STATUS = "var/lib/dpkg/status"
SITE = "usr/local/lib/python3.13/dist-packages"
SBOM = "usr/share/sbom/todo-backend.cdx.json"


def stanza(name: str, version: str, status: str = "install ok installed") -> str:
    return f"Package: {name}\nStatus: {status}\nArchitecture: amd64\nVersion: {version}\n"


def metadata(name: str, version: str) -> str:
    return f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n\nName: not this\n"


def sbom(purls: Mapping[str, Mapping[str, str]]) -> str:
    """A document whose components, by package URL, have these files; it has itself as well."""
    components = [
        {
            "purl": purl,
            "components": [
                {
                    "type": "file",
                    "name": f"/{path}",
                    "hashes": [{"content": hashlib.sha256(content.encode()).hexdigest()}],
                }
                for path, content in files.items()
            ],
        }
        for purl, files in purls.items()
    ]
    own = {"type": "file", "name": f"/{SBOM}"}
    return json.dumps({"components": [own, {"components": components}, *components]})


def inventory(tmp_path: Path, *layers: Mapping[str, str]) -> Inventory:
    """Return the inventory of an image of these layers: path -> content."""
    encoded = [{path: text.encode() for path, text in layer.items()} for layer in layers]
    number = sum(1 for _ in tmp_path.iterdir())
    return scan_inventory.read(
        write_image(tmp_path / str(number), encoded), "backend", "localhost/x"
    )


ALPHA = f"{SITE}/alpha-1.0.dist-info/METADATA"
FILES = {
    STATUS: stanza("libc6", "2.41-12+deb13u5"),
    ALPHA: metadata("Alpha.One", "1.0"),
}
LIBC = "pkg:deb/debian/libc6@2.41-12%2Bdeb13u5?arch=amd64&distro=debian-13"
BASE = {
    **FILES,
    SBOM: sbom(
        {
            LIBC: {STATUS: FILES[STATUS]},
            "pkg:pypi/alpha-one@1.0": {ALPHA: FILES[ALPHA]},
        }
    ),
}


def problems(found: Inventory) -> list[tuple[str, str, str]]:
    return [(finding.id, finding.package, finding.version) for finding in found.findings]


def test_both_kinds_of_packages_are_read_and_agree_with_the_sbom(tmp_path: Path) -> None:
    found = inventory(tmp_path, BASE)
    assert found.debian == (Package("libc6", "2.41-12+deb13u5", "amd64"),)
    assert found.python == (Package("alpha-one", "1.0"),)
    assert found.findings == ()
    assert found.summary.counts["files"] == 3


def test_an_old_distribution_that_a_later_layer_adds_is_seen(tmp_path: Path) -> None:
    old = f"{SITE}/jinja2-2.10.dist-info/METADATA"
    found = inventory(tmp_path, BASE, {old: metadata("Jinja2", "2.10")})
    assert Package("jinja2", "2.10") in found.python
    assert ("sbom-lacks", "jinja2", "2.10") in problems(found)
    assert "sbom-lacks-file" in [identity for identity, _, _ in problems(found)]


def test_an_older_version_beside_the_right_one_is_seen(tmp_path: Path) -> None:
    old = f"{SITE}/alpha_one-0.9.dist-info/METADATA"
    found = inventory(tmp_path, BASE, {old: metadata("alpha_one", "0.9")})
    assert found.python == (Package("alpha-one", "0.9"), Package("alpha-one", "1.0"))
    assert ("sbom-lacks", "alpha-one", "0.9") in problems(found)


def test_a_file_that_a_later_layer_replaces_is_seen(tmp_path: Path) -> None:
    found = inventory(tmp_path, BASE, {ALPHA: BASE[ALPHA]})
    assert [identity for identity, _, _ in problems(found)] == ["replaced-file"]


@pytest.mark.parametrize("mode", [0o4755, 0o2755])
def test_a_file_that_raises_its_user_is_seen(tmp_path: Path, mode: int) -> None:
    layer = {path: text.encode() for path, text in BASE.items()}
    archive = write_image(tmp_path / "image", [layer], mode=mode)
    found = scan_inventory.read(archive, "backend", "localhost/x")
    assert [identity for identity, _, _ in problems(found)] == ["raises-user"]


@pytest.mark.parametrize("path", [STATUS, f"{STATUS}.d/libc6"])
def test_an_old_debian_package_that_a_later_layer_adds_is_seen(path: str, tmp_path: Path) -> None:
    found = inventory(tmp_path, BASE, {path: stanza("libc6", "2.31-1")})
    assert "2.31-1" in [package.version for package in found.debian]
    assert ("sbom-lacks", "libc6", "2.31-1") in problems(found)


def test_a_package_that_only_the_sbom_has_is_found(tmp_path: Path) -> None:
    whiteout = f"{SITE}/alpha-1.0.dist-info/.wh.METADATA"
    found = inventory(tmp_path, BASE, {whiteout: ""})
    assert found.python == ()
    assert problems(found) == [
        ("sbom-exceeds", "alpha-one", "1.0"),
        ("sbom-exceeds-file", "sbom", ""),
    ]


def test_a_file_that_is_not_what_the_sbom_says_is_found(tmp_path: Path) -> None:
    text = f"{FILES[ALPHA]}more\n"
    (found,) = inventory(tmp_path, {**BASE, ALPHA: text}).findings
    assert (found.id, found.what) == (
        "sbom-other-content",
        f"/{ALPHA} is different from its SBOM entry",
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "sbom-unreadable"),
        ("[]", "sbom-unreadable"),
        ('{"components": [1]}', "sbom-unreadable"),
    ],
)
def test_an_sbom_that_is_none_is_found(content: str, problem: str, tmp_path: Path) -> None:
    assert problems(inventory(tmp_path, {**BASE, SBOM: content})) == [(problem, "sbom", "")]


def test_a_missing_sbom_and_a_second_one_are_found(tmp_path: Path) -> None:
    without = {path: content for path, content in BASE.items() if path != SBOM}
    assert problems(inventory(tmp_path, without)) == [("sbom-missing", "sbom", "")]
    second = {SBOM.replace("backend", "other"): "{}"}
    assert problems(inventory(tmp_path, BASE, second)) == [("sbom-missing", "sbom", "")]


def test_an_image_without_a_record_of_debian_packages_is_found(tmp_path: Path) -> None:
    without = {path: content for path, content in BASE.items() if path != STATUS}
    assert ("no-packages", "dpkg", "") in problems(inventory(tmp_path, without))


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (STATUS, "Package: libc6\nArchitecture: amd64\n"),
        (STATUS, stanza("--option=x", "1")),
        (STATUS, stanza("libc6", "1 2")),
        (ALPHA, "Name: alpha\n"),
        (ALPHA, metadata("alpha", "1.0 --index-url=x")),
        (ALPHA, metadata("-r x", "1.0")),
    ],
)
def test_a_record_that_cannot_be_read_is_found(path: str, content: str, tmp_path: Path) -> None:
    found = inventory(tmp_path, {**BASE, path: content})
    assert ("unreadable", path.rpartition("/")[2], "") in problems(found)


def test_what_dpkg_has_removed_does_not_count() -> None:
    text = "\n".join(
        [
            stanza("kept", "1"),
            stanza("gone", "1", "deinstall ok config-files"),
            stanza("never", "1", "unknown ok not-installed"),
            stanza("half", "1", "install reinstreq half-installed"),
        ]
    )
    assert [package.name for package in scan_inventory.debian_packages(text)] == ["kept", "half"]


def test_eggs_and_wheels_inside_count_as_distributions(tmp_path: Path) -> None:
    found = inventory(
        tmp_path,
        BASE,
        {
            f"{SITE}/beta.egg-info/PKG-INFO": metadata("beta", "2"),
            f"{SITE}/gamma.egg-info": metadata("gamma", "3"),
            "usr/lib/python3.13/ensurepip/_bundled/pip-25.0-py3-none-any.whl": "",
        },
    )
    assert {Package("beta", "2"), Package("gamma", "3"), Package("pip", "25.0")} < set(found.python)


def test_what_no_source_can_tell_about_is_named(tmp_path: Path) -> None:
    found = inventory(
        tmp_path,
        BASE,
        {
            f"{SITE}/orjson/orjson.cpython-313-x86_64-linux-gnu.so": "",
            f"{SITE}/_cffi.abi3.so": "",
            f"{SITE}/psycopg_binary.libs/libssl-1a2b3c4d.so.3": "",
        },
    )
    assert found.compiled == ("_cffi", "orjson")
    assert found.vendored == (f"/{SITE}/psycopg_binary.libs/libssl-1a2b3c4d.so.3",)
    assert len(found.summary.unseen) == 2


def test_images_that_differ_in_the_program_alone_have_one_digest(tmp_path: Path) -> None:
    one = inventory(tmp_path, BASE)
    other = inventory(tmp_path, BASE, {"opt/todo/x.py": "pass"})
    newer = inventory(tmp_path, BASE, {ALPHA: metadata("alpha", "1.1")})
    assert one.digest == other.digest != newer.digest


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("VERSION_CODENAME=forky\nID=debian\n", "forky"),
        ('VERSION_CODENAME="trixie"\n', "trixie"),
        ("VERSION_CODENAME=x; rm -rf /\n", ""),
        ("", ""),
    ],
)
def test_the_release_inside_is_read_and_nothing_that_is_none(
    tmp_path: Path, text: str, release: str
) -> None:
    assert inventory(tmp_path, {**BASE, "usr/lib/os-release": text}).release == release
