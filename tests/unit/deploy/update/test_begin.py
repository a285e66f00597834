"""Start of updates and rollbacks: choice of the image, and refusals before any change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.errors import DeployError, ExitCode
from deploy.image import build as image_build
from deploy.image.build import Options as BuildOptions
from deploy.stack import install, lifecycle, local_model, status, up, update_state
from deploy.stack.status import Readiness
from deploy.stack.update_state import Image, KeptImage, Record, Refusal
from deploy.update import begin, images, preflight, program, run
from deploy.update.faults import FaultError
from deploy.update.preflight import Running
from deploy.update.program import Schemas

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

OLD = Image("localhost/todo-backend:1-old", "sha256:old", "1", "old inputs")
NEW = Image("localhost/todo-backend:2-new", "sha256:new", "2", "new inputs")
THIRD = Image("localhost/todo-backend:3-third", "sha256:third", "3", "third inputs")


class FakeHost:
    """Images in the storage, and an update that only notes that it began.

    Attributes:
        running: The image that the stack runs.
        inputs: What an image of the checkout would be built from.
        latest: The image that the units name.
        built: How often the checkout was built.
        records: The updates that began.
        removed: The images whose tags were removed.
        kept: The digests of the images that stayed when an update began.
        ready: Whether the stack serves.
        started: How often it was started as it is installed.
        broken: The images that do not run.
        schemas: What the running program says of them; None if it does not answer.
        contracted: The oldest program after the contract step of the new one.
    """

    def __init__(self) -> None:
        self.running = OLD
        self.inputs = NEW.inputs
        self.latest = OLD
        self.built = 0
        self.records: list[Record] = []
        self.removed: list[Image] = []
        self.kept: set[str] = set()
        self.ready = True
        self.started = 0
        self.broken: set[str] = set()
        self.schemas: Running | None = None
        self.contracted = "0013"

    def check(self, _unit: str) -> Readiness:
        return Readiness(None, ready=self.ready, reason="")

    def start(self) -> str:
        self.started += 1
        return "http://127.0.0.1:8000"

    def build(self, _options: BuildOptions) -> Image:
        self.built += 1
        return NEW

    def take(self, reference: str) -> Image:
        return self.latest if reference == images.LATEST else THIRD

    def find(self, reference: str) -> Image | None:
        known = {images.LATEST: self.latest, OLD.digest: OLD, NEW.digest: NEW}
        return known.get(reference)

    def read_schemas(self, image: Image, running: Image) -> Schemas:
        assert image != running
        if image.digest in self.broken:
            message = "it exits"
            raise FaultError(message, of_image=running.digest not in self.broken)
        if image == NEW:
            return Schemas("0014", ("0013", "0014"), "0013", 1.0, self.contracted)
        return Schemas("0013", ("0013",), "0013", 1.0)

    def run(self, _machine: object, record: Record, **_: object) -> None:
        self.records.append(record)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CONFIG_HOME", "STATE_HOME", "RUNTIME_DIR"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name))
    install.install(local_model.find_units(local_model.UNCHANGED))
    host = FakeHost()
    fakes: Mapping[object, Mapping[str, object]] = {
        images: {
            "get_former": lambda: host.running,
            "find_inputs": lambda _target="backend": host.inputs,
            "build": host.build,
            "take": host.take,
            "find": host.find,
            "remove": host.removed.append,
            "sweep": host.kept.update,
            "tag": lambda _image: None,
            "point_latest": lambda image: setattr(host, "latest", image),
        },
        preflight: {
            "check_stack": lambda: None,
            "check_units": lambda: None,
            "check_disk": lambda: None,
            "find_running_schemas": lambda: host.schemas,
        },
        program: {"read_schemas": host.read_schemas},
        run: {"run": host.run},
        status: {"check": host.check},
        up: {"start": host.start},
        image_build: {"find": lambda _target: None},
    }
    for module, functions in fakes.items():
        for name, function in functions.items():
            monkeypatch.setattr(module, name, function)
    return host


def update(*, image: str | None = None, no_cache: bool = False, retries: bool = False) -> str:
    build = BuildOptions(no_cache=no_cache)
    return begin.update(begin.Options(build, image=image, retries_refused=retries, scans=False))


def refuse(image: Image) -> None:
    update_state.refuse(Refusal(image, "it ended", (), "2026-11-30T05:00:00+00:00"))


def test_the_checkout_is_built_and_tried(host: FakeHost) -> None:
    assert update() == f"updated: the stack runs {NEW.reference}, before {OLD.reference}"
    (record,) = host.records
    assert (record.kind, record.former, record.candidate) == (update_state.UPDATE, OLD, NEW)
    assert record.units == install.read_installed()
    assert set(record.sources) == {"todo-backend.container", "todo-migrate.container"}


def test_what_runs_already_is_up_to_date(host: FakeHost) -> None:
    host.inputs = OLD.inputs
    host.latest = NEW
    assert update() == f"already up to date: the stack runs {OLD.reference}"
    assert (host.built, host.records, host.latest) == (0, [], OLD)
    update(no_cache=True)
    assert host.built == 1


def test_a_build_that_changes_nothing_is_up_to_date(host: FakeHost) -> None:
    host.running = NEW
    assert update(no_cache=True) == f"already up to date: the stack runs {NEW.reference}"
    assert (host.built, host.records, host.latest) == (1, [], NEW)


@pytest.mark.parametrize(
    ("contracted", "stored", "said"),
    [("0013", "", False), ("0014", "", True), ("0014", "0013", True), ("0014", "0014", False)],
)
def test_an_update_names_the_contract_step_where_it_is_due(
    host: FakeHost,
    capsys: pytest.CaptureFixture[str],
    contracted: str,
    stored: str,
    *,
    said: bool,
) -> None:
    host.contracted = contracted
    host.schemas = Running("0014", "0014", stored)
    update()
    assert ("build.py contract removes them" in capsys.readouterr().err) is said


def test_an_image_that_was_built_by_hand_is_not_built_again(host: FakeHost) -> None:
    host.latest = NEW
    update()
    assert host.built == 0
    assert host.records[0].candidate == NEW


def test_a_named_image_is_taken(host: FakeHost) -> None:
    update(image="localhost/other:1")
    assert host.records[0].candidate.digest == THIRD.digest
    # Whatever its label says.
    assert host.records[0].candidate.inputs == ""


def test_a_checkout_that_was_refused_is_not_even_built(host: FakeHost) -> None:
    refuse(NEW)
    with pytest.raises(DeployError, match="it ended") as caught:
        update()
    assert caught.value.code == ExitCode.REFUSED
    assert (host.built, host.records) == (0, [])
    with pytest.raises(DeployError, match="it ended"):
        begin.refuse_checkout()
    update(retries=True)
    assert len(host.records) == 1
    assert update_state.find_refused() == []


def test_a_stack_that_is_down_is_started_as_it_is_although_the_checkout_was_refused(
    host: FakeHost,
) -> None:
    refuse(NEW)
    for starts, ready, started in ((False, False, 0), (True, True, 0), (True, False, 1)):
        host.ready = ready
        with pytest.raises(DeployError, match="it ended") as caught:
            begin.refuse_checkout(starts=starts)
        assert host.started == started
        assert caught.value.code == ExitCode.REFUSED
        assert "--retry-refused" in caught.value.hint
    assert caught.value.message.endswith("the stack was started as it is installed")


def test_a_checkout_that_was_refused_is_not_refused_where_nothing_is_installed(
    host: FakeHost,
) -> None:
    refuse(NEW)
    install.uninstall()
    begin.refuse_checkout(starts=True)
    assert host.started == 0


def test_what_killed_updates_left_is_removed_before_the_next_one(host: FakeHost) -> None:
    update_state.keep(KeptImage(THIRD, {}))
    update()
    assert host.kept == {OLD.digest, THIRD.digest}


@pytest.mark.parametrize("content", ["", "null"])
def test_nothing_begins_over_a_damaged_record(host: FakeHost, content: str) -> None:
    path = update_state.find_file("record.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    commands: list[Callable[[], object]] = [
        update,
        begin.recover,
        lambda: begin.rollback(to=None, refuses=False, watch_s=1.0),
    ]
    for command in commands:
        with pytest.raises(DeployError, match=r"record\.json is damaged"):
            command()
    assert (host.built, host.records) == (0, [])
    assert path.read_text() == content


def test_an_image_that_does_not_run_is_refused(host: FakeHost) -> None:
    host.broken = {NEW.digest}
    with pytest.raises(DeployError, match="it exits"):
        update()
    assert [each.image for each in update_state.find_refused()] == [NEW]
    assert host.removed == [NEW]
    assert host.records == []


def test_an_image_is_not_refused_where_none_runs(host: FakeHost) -> None:
    host.broken = {OLD.digest, NEW.digest}
    with pytest.raises(DeployError, match="it exits") as caught:
        update()
    assert caught.value.code == ExitCode.UNAVAILABLE
    assert update_state.find_refused() == []
    assert host.records == []


def test_a_rollback_goes_to_the_image_before_with_its_units(host: FakeHost) -> None:
    host.running = NEW
    units = {"todo-backend.container": "a", "todo-migrate.container": "b"}
    for image in (OLD, NEW):
        update_state.keep(KeptImage(image, units))
    done = begin.rollback(to=None, refuses=True, watch_s=1.0)
    assert done == f"rolled back: the stack runs {OLD.reference}, before {NEW.reference}"
    (record,) = host.records
    assert (record.kind, record.candidate, record.sources) == (update_state.ROLLBACK, OLD, units)
    assert [each.image for each in update_state.find_refused()] == [NEW]


def test_a_rollback_after_a_migration_that_only_added_something_is_possible(
    host: FakeHost,
) -> None:
    host.running = NEW
    update_state.keep(KeptImage(OLD, {}))
    # A program does not say who else works with the schema that it has made itself.
    host.schemas = Running("0014", "0014", "")
    begin.rollback(to=None, refuses=False, watch_s=1.0)
    assert len(host.records) == 1
    # Its image may not run any more.
    host.broken = {NEW.digest}
    with pytest.raises(DeployError, match="needs a program for 0014 or later"):
        begin.rollback(to=None, refuses=False, watch_s=1.0)


def test_a_rollback_goes_to_the_image_that_is_named(host: FakeHost) -> None:
    host.running = THIRD
    for image in (OLD, NEW, THIRD):
        update_state.keep(KeptImage(image, {}))
    begin.rollback(to="1-old", refuses=False, watch_s=1.0)
    assert host.records[0].candidate == OLD
    with pytest.raises(DeployError, match="no update has kept the image 9-no") as caught:
        begin.rollback(to="9-no", refuses=False, watch_s=1.0)
    assert OLD.reference in caught.value.hint


def test_a_rollback_does_not_return_to_an_image_that_one_refused(host: FakeHost) -> None:
    for image in (THIRD, NEW, OLD):
        update_state.keep(KeptImage(image, {}))
    refuse(NEW)
    assert update_state.find_status(OLD.digest).previous == THIRD.reference
    with pytest.raises(DeployError, match="3-third no longer exists"):
        begin.rollback(to=None, refuses=False, watch_s=1.0)
    begin.rollback(to="2-new", refuses=False, watch_s=1.0)
    assert host.records[0].candidate == NEW


def test_without_an_update_there_is_nothing_to_go_back_to(host: FakeHost) -> None:
    with pytest.raises(DeployError, match="no update has kept another image"):
        begin.rollback(to=None, refuses=False, watch_s=1.0)
    assert host.records == []


def test_an_image_that_is_gone_is_refused(host: FakeHost) -> None:
    update_state.keep(KeptImage(THIRD, {}))
    with pytest.raises(DeployError, match="no longer exists"):
        begin.rollback(to=None, refuses=False, watch_s=1.0)
    assert host.records == []


def test_a_record_without_a_stack_is_forgotten(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = Record(update_state.UPDATE, update_state.TRY, OLD, NEW, {}, {}, "now")
    update_state.write_record(record)
    monkeypatch.setattr(lifecycle, "refuse_absent", lambda: None)
    install.uninstall()
    begin.recover()
    assert update_state.find_record() is None
    assert host.records == []
