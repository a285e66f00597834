import json
from pathlib import Path

import pytest

from deploy.errors import DeployError, ExitCode
from deploy.image import package_lock
from deploy.stage.packages import find_packages

ENTRY = {"name": "libc6", "version": "2.41-12", "sha256": "a" * 64}
LOCK = {"debian": [{**ENTRY, "name": name} for name in find_packages("db", "17")], "python": []}


def component(origin: str, name: str) -> dict[str, object]:
    return {
        "name": name,
        "version": "1",
        "hashes": [{"alg": "SHA-256", "content": "b" * 64}],
        "properties": [{"name": "todo:origin", "value": origin}],
    }


def test_a_lock_is_what_the_bill_of_materials_says_of_its_packages() -> None:
    program = {"name": "todo", "version": "1"}
    document = {"components": [component("debian", "d"), component("python", "p"), program]}
    entry = {"version": "1", "sha256": "b" * 64}
    assert package_lock.from_sbom(document) == {
        "debian": [{"name": "d", **entry}],
        "python": [{"name": "p", **entry}],
    }


def test_a_lock_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    path.write_text(package_lock.render(LOCK))
    assert package_lock.read(path, "db", "17") == LOCK


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not a package lock"),
        ("[]", "must have the lists debian and python"),
        (json.dumps({"debian": []}), "must have the lists debian and python"),
        (json.dumps({**LOCK, "python": {}}), "python[0] is not an entry"),
        (
            json.dumps({**LOCK, "python": [{"name": "x"}]}),
            "python[0] must have name, version, sha256",
        ),
        (
            json.dumps({**LOCK, "debian": [{**ENTRY, "name": "-o=x"}]}),
            "debian[0] has an invalid name",
        ),
        (json.dumps({**LOCK, "debian": [{**ENTRY, "version": "1 -q"}]}), "an invalid version"),
        (json.dumps({**LOCK, "debian": [{**ENTRY, "sha256": "zz"}]}), "an invalid sha256"),
        (json.dumps({**LOCK, "debian": []}), "it is not for the db image"),
        (json.dumps({**LOCK, "python": [ENTRY]}), "libc6 2.41-12, where the db image has nothing"),
        ("[" * 100_000, "is not a package lock"),
    ],
)
def test_a_malformed_lock_is_named(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "lock.json"
    path.write_text(content)
    with pytest.raises(DeployError) as caught:
        package_lock.read(path, "db", "17")
    assert said in caught.value.message
    assert caught.value.code == ExitCode.DATA


def test_an_absent_lock_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="No such file"):
        package_lock.read(tmp_path / "absent", "db")


def test_a_lock_takes_no_other_version_than_the_pinned_one(tmp_path: Path) -> None:
    debian = [{**ENTRY, "name": name} for name in find_packages("backend")]
    python = [{"name": "fastapi", "version": "0.1", "sha256": "a" * 64}]
    path = tmp_path / "lock.json"
    for entries, said in (
        (python, "fastapi 0.1, where runtime.lock has "),
        ([], "has no Python"),
    ):
        path.write_text(package_lock.render({"debian": debian, "python": entries}))
        with pytest.raises(DeployError) as caught:
            package_lock.read(path, "backend")
        assert said in caught.value.message
