"""Removal of images that only an update has tagged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from deploy import process
from deploy.update import images

if TYPE_CHECKING:
    from collections.abc import Sequence

OLD, NEW = "1" * 64, "2" * 64
OLD_TAG, NEW_TAG = (f"{images.NAME}:1.0-{each[:12]}" for each in (OLD, NEW))
OTHER = "registry.example/todo-backend"


class FakeStorage:
    """Images in Podman's storage.

    Attributes:
        names: ID -> the names of the image, by tag or digest.
    """

    def __init__(self) -> None:
        self.names = {OLD: [images.LATEST, OLD_TAG], NEW: [NEW_TAG]}

    def run(self, argv: Sequence[str], **_: object) -> process.Completed:
        printed = self._run(argv)
        return process.Completed(tuple(argv), 125 if printed is None else 0, printed or "", "")

    def _run(self, argv: Sequence[str]) -> str | None:
        """Return the output of a command; None if it fails."""
        match argv[1:]:
            case ["untag", image, name]:
                if name not in self.names[image]:
                    return None
                self.names[image].remove(name)
            case ["image", "inspect", *words, name]:
                return self._inspect(name, counts=bool(words))
            case ["image", "rm", "--no-prune", image]:
                del self.names[image]
            case ["images", *_]:
                all_names = [each for found in self.names.values() for each in found]
                return "\n".join(name for name in all_names if name.startswith(images.NAME))
            case _:
                raise AssertionError(argv)
        return ""

    def _inspect(self, name: str, *, counts: bool) -> str | None:
        found = next((image for image, names in self.names.items() if name in {image, *names}), "")
        if not found:
            return None
        if counts:
            tags = [each for each in self.names[found] if "@" not in each]
            # Podman makes a digest of each name.
            return f"{len(tags)} {len(self.names[found])}\n"
        labels = {"org.opencontainers.image.version": "1.0"}
        return json.dumps([{"Id": found, "Labels": labels}])


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> FakeStorage:
    storage = FakeStorage()
    monkeypatch.setattr(process, "run", storage.run)
    return storage


def remove(name: str) -> None:
    found = images.find(name)
    assert found is not None
    images.remove(found)


def test_an_image_that_only_an_update_has_named_is_removed(storage: FakeStorage) -> None:
    remove(NEW)
    assert set(storage.names) == {OLD}


@pytest.mark.parametrize("name", [f"{OTHER}:1", f"{OTHER}@sha256:{'3' * 64}"])
def test_an_image_that_has_another_name_stays(storage: FakeStorage, name: str) -> None:
    storage.names[NEW].append(name)
    remove(NEW)
    assert storage.names[NEW] == [name]


def test_an_image_that_no_update_has_named_stays(storage: FakeStorage) -> None:
    storage.names[NEW] = []
    remove(NEW)
    assert storage.names[NEW] == []


def test_what_a_killed_update_left_is_removed(storage: FakeStorage) -> None:
    built = "3" * 64
    # Killed before it had another tag, and one that is the user's.
    storage.names |= {built: [f"{images.NAME}:candidate"], "4" * 64: [f"{images.NAME}:mine"]}
    images.sweep({f"sha256:{OLD}"})
    assert storage.names == {OLD: [images.LATEST, OLD_TAG], "4" * 64: [f"{images.NAME}:mine"]}


def test_the_image_that_the_units_name_stays_without_another_tag(storage: FakeStorage) -> None:
    images.sweep(set())
    assert storage.names == {OLD: [images.LATEST]}
