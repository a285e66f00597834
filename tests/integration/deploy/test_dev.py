"""The one-minute trial, as the README has it: a fresh clone, empty caches, no privileges."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.bootstrap import venv
from deploy.paths import REPO
from tests.integration.cluster import find_free_port, unprivileged
from tests.integration.deploy.checkout import copy_checkout

# An environment from an empty cache, which a slow network and a busy machine draw out.
pytestmark = pytest.mark.longer(1800)

_USABLE = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))"


class Visitor:
    """A user without privileges, with a home folder where nothing is cached."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = find_free_port()
        self._as: dict[str, Any] = {}
        self._prefix: list[str] = []
        names = ("PATH", "LANG", "http_proxy", "https_proxy", "no_proxy")
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in names or name.startswith(("PIP_", "SSL_"))
        }
        python = Path(sys.base_prefix, "bin")
        self.environment = {**kept, "HOME": str(home), "PATH": f"{python}:{kept['PATH']}"}
        if os.geteuid() == 0:
            self._drop_privileges()

    def _drop_privileges(self) -> None:
        """Give up all capabilities, and root itself where a Python outside its home is found."""
        self._prefix = ["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
        system = {**self.environment, "PATH": "/usr/local/bin:/usr/bin:/bin"}
        user = unprivileged()
        asked = subprocess.run(
            ["python3", "-c", _USABLE],
            env=system,
            cwd="/",
            check=False,
            capture_output=True,
            **user,
        )
        if asked.returncode == 0:
            self._as, self.environment = user, system
            os.chown(self.home, user["user"], user["group"])

    def start(self, commands: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
        """Start commands of the README, with this test's port."""
        script = commands.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}").replace(
            "build.py dev", f"build.py dev --port {self.port}"
        )
        return subprocess.Popen(
            [*self._prefix, "sh", "-euc", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**self.environment, **environment},
            cwd=folder,
            start_new_session=True,
            **self._as,
        )

    def run(self, commands: str, folder: Path, **environment: str) -> tuple[int, str]:
        """Run commands of the README to their end; return the exit code and what they print."""
        with self.start(commands, folder, **environment) as process:
            output, _ = process.communicate()
        return process.returncode, output

    def environments(self) -> list[Path]:
        return sorted((self.home / ".cache/todo-backend").glob("*"))


@pytest.fixture(scope="module")
def visitor() -> Iterator[Visitor]:
    # Not pytest's own folder, which only root can access.
    with tempfile.TemporaryDirectory(prefix="todo-dev-") as name:
        yield Visitor(Path(name))


@pytest.fixture(scope="module")
def source(visitor: Visitor) -> Path:
    """A repository with what this checkout has, committed or not."""
    folder = visitor.home / "repository"
    copy_checkout(folder)
    owner = visitor.home.stat()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    commit = (
        "git init --quiet && git add . && git -c user.name=a -c user.email=a commit --quiet -m a"
    )
    assert visitor.run(commit, folder) == (0, "")
    return folder


@pytest.fixture(scope="module")
def steps(source: Path) -> list[str]:
    """The commands of the README's section, one text for each block."""
    text = (REPO / "README.md").read_text()
    section = text.split("## Try it in a minute\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return [block.replace("REPOSITORY", f"file://{source}") for block in blocks]


@contextmanager
def stopping(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Return what a program prints up to a text.

    Raises:
        AssertionError: It ends before.
    """
    seen: list[str] = []
    for line in process.stdout or ():
        seen.append(line)
        if text in line:
            return "".join(seen)
    raise AssertionError("".join(seen))


def find_last(output: str, start: str) -> Any:  # noqa: ANN401 - a JSON document
    """Return the last JSON object in an output that starts so; curl shows its progress beside."""
    return json.JSONDecoder().raw_decode(output[output.rindex(start) :])[0]


def test_without_a_network_it_fails_in_a_line_and_leaves_nothing(
    visitor: Visitor, source: Path
) -> None:
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "1"}
    alone = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", **nowhere}
    code, output = visitor.run("python3 build.py dev", source, **alone)
    assert code == 69, output
    assert output.splitlines()[-1].startswith("build.py: error: pip could not reach the network")
    assert visitor.environments() == []


def test_the_readme_leads_to_an_answer_after_a_first_run_that_was_interrupted(
    visitor: Visitor, steps: list[str]
) -> None:
    clone_and_serve, ask = steps
    checkout = visitor.home / "todo-backend"
    with stopping(visitor.start(clone_and_serve, visitor.home)) as first:
        read_until(first, "Preparing the Python environment (serve.lock)")
        os.killpg(first.pid, signal.SIGINT)
        output, _ = first.communicate()
    assert "build.py: interrupted" in output
    assert visitor.environments() == []

    again = clone_and_serve.splitlines()[-1]
    with stopping(visitor.start(again, checkout)) as served:
        greeting = read_until(served, "curl ")
        assert f"Serving at http://127.0.0.1:{visitor.port}" in greeting
        assert "Traceback" not in greeting

        code, output = visitor.run(ask, checkout)
        assert code == 0, output
        assert [item["title"] for item in find_last(output, '{"items"')["items"]] == [
            "Water the plants"
        ]

        offered = greeting.splitlines()[-1]
        code, output = visitor.run(offered, checkout)
        assert code == 0, output
        assert find_last(output, '{"id"')["title"] == "Water the plants"

        code, output = visitor.run(again, checkout)
        assert code == 78, output
        assert output.splitlines()[-1].endswith("choose another port with --port")
        os.killpg(served.pid, signal.SIGINT)
        served.communicate()


def test_its_environment_holds_what_the_lock_names_and_nothing_else(visitor: Visitor) -> None:
    (environment,) = visitor.environments()
    assert environment.name.startswith("venv-serve-")
    folder = next(environment.glob("lib/python3.*/site-packages"))
    installed = {
        re.sub(r"[-_.]+", "-", entry.name.split("-")[0]).lower()
        for entry in folder.glob("*.dist-info")
    }
    lock = (REPO / "requirements/serve.lock").read_text()
    assert set(venv.pins(lock)) <= installed <= set(venv.versions(lock))
