"""State files of updates, and their use by later commands."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeployError, ExitCode
from deploy.stack import update_state
from deploy.stack.install import Link
from deploy.stack.update_state import Image, KeptImage, Outcome, Record, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OLD = Image("localhost/todo-backend:1-old", "sha256:old", "1", "old inputs")
NEW = Image("localhost/todo-backend:2-new", "sha256:new", "2", "new inputs")
RECORD = Record(
    "update", "watch", OLD, NEW, {"a.container": "text\n", "b.container": Link("a")}, {}, "now"
)
OUTCOME = Outcome("update", "refused", OLD.reference, NEW.reference, "it ended", "then", "now")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_without_an_update_there_is_nothing() -> None:
    found = update_state.find_status(OLD.digest)
    assert found == update_state.UpdateStatus((), None, (), None, None, None, None)


def test_a_record_is_read_as_it_was_written() -> None:
    update_state.write_record(RECORD)
    assert update_state.find_record() == RECORD
    update_state.remove_record()
    assert update_state.find_record() is None


def test_a_record_without_a_process_is_an_interrupted_update() -> None:
    update_state.write_record(RECORD)
    found = update_state.find_status(None)
    assert (found.running, found.interrupted) == (None, "update, watch")
    assert found.resumed == f"goes back to {OLD.reference}"
    with update_state.hold():
        found = update_state.find_status(None)
    assert (found.running, found.interrupted, found.resumed) == ("update, watch", None, None)


def test_an_update_that_was_interrupted_at_its_end_is_finished() -> None:
    update_state.write_record(dataclasses.replace(RECORD, step="finish"))
    assert update_state.find_status(None).resumed == "finishes it"


def test_the_previous_image_is_the_last_one_that_does_not_run() -> None:
    for image in (OLD, NEW):
        update_state.keep(KeptImage(image, {}))
    assert update_state.find_status(NEW.digest).previous == OLD.reference
    assert update_state.find_status(OLD.digest).previous == NEW.reference
    # Of a checkout that `up` has built.
    assert update_state.find_status("sha256:other").previous == NEW.reference


def test_an_image_that_is_kept_again_is_the_newest() -> None:
    for image in (OLD, NEW, OLD):
        assert update_state.keep(KeptImage(image, {"a": "b"})) == []
    assert [each.image for each in update_state.find_kept()] == [NEW, OLD]


def test_a_refused_image_is_listed_once_until_it_is_accepted() -> None:
    update_state.refuse(Refusal(NEW, "it ended", ("a", "b"), "then"))
    again = Refusal(NEW, "it hung", (), "now")
    update_state.refuse(again)
    assert update_state.find_refused() == [again]
    update_state.accept(NEW)
    assert update_state.find_refused() == []


def test_only_the_last_outcomes_are_kept() -> None:
    for _ in range(25):
        update_state.add_outcome(OUTCOME)
    assert update_state.find_history() == [OUTCOME] * 20


def damage(name: str, content: str | bytes) -> Path:
    path = update_state.find_file(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    ["", "{", "null", "{}", "[]", "[1]", "7", '"a"', '{"step": 1}', b"\xff", "[" * 100_000],
)
def test_a_damaged_record_is_named_with_a_way_out(content: str | bytes) -> None:
    path = damage("record.json", content)
    with pytest.raises(DeployError, match=r"record\.json is damaged") as caught:
        update_state.find_record()
    assert caught.value.code == ExitCode.DATA
    assert f"mv {path} {path}.damaged" in caught.value.hint
    # The stack may run anything.
    assert "build.py down" in caught.value.hint
    assert "build.py up" in caught.value.hint


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "other"},
        {"step": "other"},
        {"started": None},
        {"former": None},
        {"former": {**dataclasses.asdict(OLD), "digest": None}},
        {"candidate": {"reference": "a"}},
        {"units": []},
        {"units": {"a.container": 1}},
        {"units": {"a.container": {"link": 1}}},
        {"units": {"a.container": {}}},
        {"sources": [["a", "b"]]},
        {"sources": {"a": None}},
        {"another": "field"},
    ],
)
def test_a_record_with_something_else_in_it_is_damaged(changes: dict[str, object]) -> None:
    update_state.write_record(RECORD)
    path = update_state.find_file("record.json")
    damage("record.json", json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(DeployError, match=r"record\.json is damaged"):
        update_state.find_record()


def test_a_record_that_cannot_be_read_is_not_one_that_is_absent() -> None:
    update_state.find_file("record.json").mkdir(parents=True)
    with pytest.raises(DeployError, match=r"record\.json cannot be read: Is a directory"):
        update_state.find_record()


@pytest.mark.parametrize("content", ["{", "null", "7", "[1]", "[{}]", '[{"image": {}}]'])
def test_a_damaged_list_is_named_with_a_way_out(content: str) -> None:
    lists: dict[str, Callable[[], object]] = {
        "history.json": update_state.find_history,
        "refused.json": update_state.find_refused,
        "kept.json": update_state.find_kept,
    }
    for name, find in lists.items():
        path = damage(name, content)
        with pytest.raises(DeployError, match="is damaged") as caught:
            find()
        assert caught.value.hint == f"move it aside: mv {path} {path}.damaged"
