"""Drift: what counts as a difference between a unit and what runs."""

from __future__ import annotations

import pytest

from deploy.stack import drift

SHOWN = (
    "{ path=/usr/bin/podman ; argv[]=/usr/bin/podman run --env A=b$$c --name=todo-db image:1 ; "
    "ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }"
)


@pytest.mark.parametrize(
    ("command", "same"),
    [
        (["/usr/bin/podman", "run", "--name=todo-db", "--env", "A=b$c", "image:1"], True),
        (["/usr/bin/podman", "run", "--name=todo-db", "--env", "A=b$d", "image:1"], False),
    ],
)
def test_a_dollar_sign_in_a_value_is_not_a_difference(command: list[str], *, same: bool) -> None:
    assert drift.made_by(command, SHOWN) is same
