"""Removal of images of earlier builds, and of no others."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy import process
from deploy.image import prune
from deploy.image.prune import find_images
from deploy.process import Completed

OUTPUT = f"""\
[1/6] STEP 1/7: FROM localhost/todo-builder:0123456789ab AS toolchain
[1/6] STEP 2/7: RUN apt-get update -q
  --> aaaaaaaaaaaa not this
--> Using cache {"a" * 64}
--> aaaaaaaaaaaa
[2/6] STEP 1/3: FROM {"f" * 64} AS wheels
--> bbbbbbbbbbbb
[6/6] COMMIT localhost/todo-backend:latest
--> cccccccccccc
{"c" * 64}
"""


class Podman:
    """A storage: id -> names. What has a child, or runs, cannot be removed."""

    def __init__(self) -> None:
        self.images: dict[str, list[str]] = {}
        self.held: set[str] = set()
        self.removed: list[str] = []

    def make(self, *letters: str, name: str = "") -> str:
        """Put images there, the last by a name; gives what buildah would print of them."""
        self.images |= {letter * 64: [] for letter in letters}
        if name:
            for names in self.images.values():
                names[:] = [one for one in names if one != name]
            self.images[letters[-1] * 64] = [name]
        return "".join(f"--> {letter * 12}\n" for letter in letters)

    def run(self, argv: Sequence[str], **_: object) -> Completed:
        if argv[1] == "images":
            listed = [{"Id": one, "Names": names or None} for one, names in self.images.items()]
            return Completed(tuple(argv), 0, json.dumps(listed), "")
        assert argv[1:4] == ["image", "rm", "--no-prune"]
        for short in argv[4:]:
            (found,) = [one for one in self.images if one.startswith(short)]
            if found not in self.held:
                del self.images[found]
                self.removed.append(short[0])
        return Completed(tuple(argv), 2 if self.held else 0, "", "")


@pytest.fixture
def podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Podman:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    storage = Podman()
    monkeypatch.setattr(process, "run", storage.run)
    return storage


def test_the_images_of_a_build_are_read_from_what_buildah_prints() -> None:
    assert find_images(OUTPUT) == ["a" * 12, "b" * 12, "c" * 12]


def test_what_the_next_build_passes_over_goes_children_first(podman: Podman) -> None:
    prune.note(podman.make("a", "b", "c", "d", name="todo"), "backend")
    prune.sweep()
    assert podman.removed == []
    prune.note(podman.make("a", "b", "e", "f", name="todo"), "backend")
    prune.sweep()
    assert podman.removed == ["d", "c"]


def test_what_another_target_uses_stays(podman: Podman) -> None:
    prune.note(podman.make("a", "b"), "backend")
    prune.note(podman.make("a", "c"), "db")
    prune.note(podman.make("d"), "backend")
    prune.sweep()
    assert podman.removed == ["b"]


def test_nobody_elses_image_goes_and_none_with_a_name(podman: Podman) -> None:
    podman.make("9")
    prune.note(podman.make("a", "b", name="todo"), "backend")
    podman.images["b" * 64] = ["kept-by-hand"]
    prune.note(podman.make("c", name="todo"), "backend")
    prune.sweep()
    assert podman.removed == ["a"]
    assert {one[0] for one in podman.images} == {"9", "b", "c"}


def test_what_still_runs_goes_next_time(podman: Podman) -> None:
    prune.note(podman.make("a"), "backend")
    podman.held.add("a" * 64)
    prune.note(podman.make("b"), "backend")
    prune.sweep()
    assert podman.removed == []
    podman.held.clear()
    prune.sweep()
    assert podman.removed == ["a"]


def test_an_image_that_was_loaded_is_replaced_by_a_build(podman: Podman) -> None:
    podman.make("a", name="todo")
    prune.note_loaded("backend", f"sha256:{'a' * 64}")
    prune.sweep()
    assert podman.removed == []
    prune.note(podman.make("b", name="todo"), "backend")
    prune.sweep()
    assert podman.removed == ["a"]


def test_a_build_that_failed_or_compared_leaves_nothing(podman: Podman) -> None:
    prune.note(podman.make("a", "b"), "backend")
    prune.note(podman.make("a", "c"), None)
    prune.sweep()
    assert podman.removed == ["c"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"other": 1}', '{"used": 1, "former": 2}'])
def test_a_damaged_record_costs_nothing_but_room(podman: Podman, content: str) -> None:
    path = prune.record_path()
    path.parent.mkdir(parents=True)
    path.write_text(content)
    podman.make("a")
    prune.sweep()
    assert podman.removed == []
