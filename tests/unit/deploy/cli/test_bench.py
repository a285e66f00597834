"""`build.py bench`."""

import pytest

from deploy.cli.bench import Bench
from deploy.errors import DeployError, ExitCode


def test_a_model_server_is_refused_for_other_measurements_than_the_assistant() -> None:
    with pytest.raises(DeployError, match="--model-url requires") as caught:
        Bench.invoke("reads", model_url="http://127.0.0.1:8080/v1")

    assert caught.value.code == ExitCode.USAGE


def test_other_measurements_than_that_of_the_api_run_where_they_always_do() -> None:
    with pytest.raises(DeployError, match="--no-lab requires") as caught:
        Bench.invoke("start", no_lab=True)

    assert caught.value.code == ExitCode.USAGE
