"""`build.py image`: it replaces what the units name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.cli.image import Image
from deploy.errors import DeployError, ExitCode
from deploy.image.build import Image as BuiltImage
from deploy.stack import up, update_state
from deploy.update import begin

if TYPE_CHECKING:
    from pathlib import Path

BUILT = BuiltImage("backend", "localhost/todo-backend:latest", "sha256:new", 1, "inputs")


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether other commands that change the stack waited, for each build."""
    built: list[bool] = []

    def build(*_: object, **__: object) -> list[BuiltImage]:
        built.append(update_state.is_held())
        return [BUILT]

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(Image, "trial", lambda _self: None)
    monkeypatch.setattr(up, "build", build)
    return built


def test_no_update_runs_meanwhile(built: list[bool]) -> None:
    assert Image.run(["build.py image"], exit=False)[1] == 0
    assert built == [True]
    assert not update_state.is_held()


def test_an_image_that_an_update_refused_is_not_built_for_the_next_start(
    built: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        message = "it was refused"
        raise DeployError(message, code=ExitCode.REFUSED)

    monkeypatch.setattr(begin, "refuse_checkout", refuse)
    with pytest.raises(DeployError, match="it was refused"):
        Image.run(["build.py image"], exit=False)
    assert built == []
    # Those have other inputs, if only by newer packages.
    for words in (["--target=db"], ["--no-cache"]):
        assert Image.run(["build.py image", *words], exit=False)[1] == 0
    assert len(built) == 2
