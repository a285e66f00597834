import dataclasses

import pytest

from deploy import trial
from deploy.errors import DeployError, ExitCode
from deploy.lab import labs
from deploy.paths import REPO


@dataclasses.dataclass
class FakeLab:
    """A lab that notes what is run in it."""

    publish: dict[int, int]
    checkout: str = str(REPO)
    name: str = trial.NAME
    ran: list[list[str]] = dataclasses.field(default_factory=list)

    def interact(self, argv: list[str], *, env: dict[str, str]) -> int:
        self.ran.append([*argv, *(f"{name}={value}" for name, value in env.items())])
        return 0


def running(monkeypatch: pytest.MonkeyPatch, machine: FakeLab) -> FakeLab:
    monkeypatch.setattr(labs, "list_labs", lambda: [machine])
    return machine


def test_up_runs_in_the_lab_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = running(monkeypatch, FakeLab({8123: 8000}))
    assert trial.up("no systemd", [], port=8123) == 0
    (words,) = machine.ran
    assert words[2:] == [
        "up",
        "--image-cache=/var/cache/lab/images",
        "--no-lab",
        "BUILD_PUBLISHED_URL=http://127.0.0.1:8123",
    ]


@pytest.mark.parametrize(
    ("machine", "port", "said"),
    [
        (FakeLab({8000: 8000}), 8123, "publishes port 8000"),
        (FakeLab({}), None, "publishes no port of the backend"),
        (FakeLab({8000: 8000}, checkout="/srv/other"), None, "another checkout, /srv/other"),
    ],
)
def test_up_refuses_a_lab_that_is_another_one(
    monkeypatch: pytest.MonkeyPatch, machine: FakeLab, port: int | None, said: str
) -> None:
    running(monkeypatch, machine)
    with pytest.raises(DeployError) as caught:
        trial.up("no systemd", [], port=port)
    assert said in caught.value.message
    assert "lab down default" in caught.value.hint
    assert caught.value.code == ExitCode.CONFIG
    assert machine.ran == []
