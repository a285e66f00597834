"""Benchmark of the backend's start and idle memory, compared with the same program elsewhere.

From exec to the first 200, wall clock and CPU time, in alternating rounds of three images that
hold the same program: ours; Debian's minbase with pip's defaults, built with the very options
that ours is built with; and the same as an ordinary build. The options of a reproducible build
date every file alike, so that the byte code that pip and Debian made counts as stale, and every
start compiles every module. Then, of our image: idle memory and the dearest imports.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

from tests.bench.launch import NAME
from tests.system.stack_in_lab import Stack, open_machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from deploy.lab import manager

_CHECKOUT = "/srv/todo-backend"
_OURS = "localhost/todo-backend:latest"
_REPRODUCIBLE = "localhost/bench-reproducible"
_ORDINARY = "localhost/bench-ordinary"
_IMAGES = {
    _OURS: "our image",
    _REPRODUCIBLE: "minbase and pip's defaults, built as ours is",
    _ORDINARY: "minbase and pip's defaults, ordinary build",
}
_MINBASE = "localhost/bench-minbase"
_LIVEZ = "/livez"
_TASKS = "/api/v1/tasks"
_PAGE = 20
_SETTLE_S = 3.0
_BUILD_TIMEOUT_S = 1800.0
_TOP = 10
# Of the unit's `podman run`, what a container that nobody supervises does without.
UNSUPERVISED = ("--cgroups=enabled", "--sdnotify=ignore", "--health-cmd=none")
_IMPORTS = (
    "--log-driver=k8s-file",
    '--entrypoint=["/usr/bin/python3","-X","importtime","-m","todo"]',
)
_LINE = re.compile(r"import time: +(\d+) \| +\d+ \|( +)(\S+)")


@dataclasses.dataclass(frozen=True)
class Start:
    """One start: path -> seconds to its first 200; PSS of the idle process in MiB."""

    wall_s: dict[str, float]
    cpu_s: dict[str, float]
    pss_mib: float


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of `-X importtime`: a deeper module was imported by the next that is less deep."""

    depth: int
    name: str
    own_us: int


@dataclasses.dataclass
class Import:
    """One module: who imported it first, microseconds of its own and with what it imported."""

    name: str
    importer: str
    own_us: int
    total_us: int


def main() -> int:
    """Run every measurement and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with open_machine() as stack:
        stack.up()
        bench = Bench(stack)
        build_baselines(stack.lab)
        starts: dict[str, list[Start]] = {image: [] for image in _IMAGES}
        for number in range(rounds):
            # There and back, so that no image always follows the same one.
            for image in list(_IMAGES)[:: -1 if number % 2 else 1]:
                starts[image].append(bench.start(image))
        report(starts)
        report_imports([bench.imports() for _ in range(rounds)])
    return 0


class Bench:
    """Containers of several images, each with what the backend's unit gives its own."""

    def __init__(self, stack: Stack) -> None:
        """Note the unit's options, fill a page of tasks and stop the backend."""
        self._stack = stack
        self._machine = stack.lab
        self._token = stack.token("bench")
        with stack.client("bench") as client:
            for number in range(_PAGE):
                client.post(_TASKS, json={"title": f"Task {number}"}).raise_for_status()
        command = stack.inspect("todo-backend")["Config"]["CreateCommand"]
        stack.systemctl("stop", "todo-backend.socket", "todo-management.socket", "todo-backend")
        # Behind `podman run` and before the image.
        given = [word for word in command[2:-1] if word != "-d" and "--cidfile" not in word]
        self._options = [*given, *UNSUPERVISED]

    def start(self, image: str) -> Start:
        """Start a container of an image, note the figures, remove it."""
        launched = self._launch(image)
        time.sleep(_SETTLE_S)
        pss_mib = self._stack.pss_mib(launched["pid"])
        self._remove()
        answers = launched["answers"].items()
        return Start(
            wall_s={path: figures["wall_s"] for path, figures in answers},
            cpu_s={path: figures["cpu_s"] for path, figures in answers},
            pss_mib=pss_mib,
        )

    def imports(self) -> list[Row]:
        """What our image imports until its first answers."""
        self._launch(_OURS, *_IMPORTS)
        logged = self._machine.run(["podman", "logs", NAME])
        self._remove()
        return read_imports(logged.stderr)

    def _launch(self, image: str, *options: str) -> dict[str, Any]:
        program = ["python3", f"{_CHECKOUT}/tests/bench/launch.py", f"--image={image}"]
        requests = [f"--token={self._token}", f"--path={_LIVEZ}", f"--path={_TASKS}"]
        words = [*program, *requests, "--", *self._options, *options]
        report: dict[str, Any] = json.loads(self._machine.run(words, timeout_s=180).stdout)
        return report

    def _remove(self) -> None:
        self._machine.run(["podman", "rm", "--force", "--time=0", NAME])


def build_baselines(machine: manager.Lab) -> None:
    """Build the same program on Debian's minbase in both ways."""
    import_minbase(machine)
    as_ours = ["--identity-label=false", "--timestamp=0"]
    for tag, options in ((_ORDINARY, []), (_REPRODUCIBLE, as_ours)):
        build_on_minbase(machine, "baseline.Containerfile", tag, *options)


def import_minbase(machine: manager.Lab) -> None:
    """Bootstrap Debian's minbase and make it an image."""
    archive = "minbase.tar"
    bootstrap = ["mmdebstrap", "--quiet", "--mode=unshare", "--variant=minbase"]
    packages = "--include=ca-certificates"
    words = [*bootstrap, packages, "trixie", archive]
    machine.run(words, timeout_s=_BUILD_TIMEOUT_S)
    machine.run(["podman", "import", "--quiet", archive, _MINBASE], timeout_s=_BUILD_TIMEOUT_S)
    machine.run(["rm", archive])


def build_on_minbase(machine: manager.Lab, file: str, tag: str, *options: str) -> None:
    """Build a file of this folder on the image that `import_minbase` has made."""
    words = [
        "buildah",
        "build",
        "--no-cache",
        f"--build-arg=BASE={_MINBASE}",
        "--secret=id=ca,src=/etc/ssl/certs/ca-certificates.crt",
        f"--file={_CHECKOUT}/tests/bench/{file}",
        *options,
        f"--tag={tag}",
        _CHECKOUT,
    ]
    machine.run(words, timeout_s=_BUILD_TIMEOUT_S)


def read_imports(text: str) -> list[Row]:
    """What `-X importtime` printed, in its order: after what it imported comes the module."""
    return [
        Row(depth=len(indent), name=name, own_us=int(own))
        for own, indent, name in _LINE.findall(text)
    ]


def nest(rows: Iterable[Row]) -> list[Import]:
    """Find out who imported what, and what it took with all that it imported in turn."""
    found: list[Import] = []
    waiting: list[tuple[int, Import]] = []
    for row in rows:
        module = Import(row.name, "", row.own_us, row.own_us)
        while waiting and waiting[-1][0] > row.depth:
            _, inner = waiting.pop()
            inner.importer = module.name
            module.total_us += inner.total_us
        waiting.append((row.depth, module))
        found.append(module)
    return found


def report(starts: dict[str, list[Start]]) -> None:
    """Print seconds and memory by image, and the ratios."""
    columns = (f"wall {_LIVEZ}", "wall tasks", f"CPU {_LIVEZ}", "CPU tasks", "PSS")
    say(f"{f'from exec to the first 200, n={len(starts[_OURS])}':<46}" + columns_of(columns))
    medians = {}
    for image, title in _IMAGES.items():
        rows = [
            (s.wall_s[_LIVEZ], s.wall_s[_TASKS], s.cpu_s[_LIVEZ], s.cpu_s[_TASKS], s.pss_mib)
            for s in starts[image]
        ]
        middle = medians[image] = [statistics.median(column) for column in zip(*rows, strict=True)]
        low = [min(column) for column in zip(*rows, strict=True)]
        high = [max(column) for column in zip(*rows, strict=True)]
        units = ("s", "s", "s", "s", "MiB")
        for label, figures in ((title, middle), ("    least", low), ("    most", high)):
            shown = [_figure(value, unit) for value, unit in zip(figures, units, strict=True)]
            say(f"{label:<46}" + columns_of(shown))
    for image in (_REPRODUCIBLE, _ORDINARY):
        ratios = [ours / its for ours, its in zip(medians[_OURS], medians[image], strict=True)]
        label = f"ours : {_IMAGES[image].rpartition(', ')[2]}"
        say(f"{label:<46}" + columns_of([f"{ratio:.2f}" for ratio in ratios]))


def report_imports(runs: Sequence[Sequence[Row]]) -> None:
    """Print what is dearest, each module's own time being the least of all runs."""
    least: dict[str, int] = {}
    for row in (row for run in runs for row in run):
        least[row.name] = min(row.own_us, least.get(row.name, row.own_us))
    modules = nest(dataclasses.replace(row, own_us=least[row.name]) for row in runs[-1])
    say(f"\n{len(modules)} modules, {sum(m.own_us for m in modules) / 1000:.0f} ms; ms each:")
    asked = [m for m in modules if _is_ours(m.importer) and not _is_ours(m.name)]
    _say_dearest("dearest imports of the program, with all they import", asked, "total_us")
    _say_dearest("dearest modules by themselves", modules, "own_us")


def _say_dearest(title: str, modules: Iterable[Import], key: str) -> None:
    say(title)
    for module in sorted(modules, key=lambda each: -int(getattr(each, key)))[:_TOP]:
        by = f"  (by {module.importer})" if module.importer else ""
        say(f"{getattr(module, key) / 1000:8.1f}  {module.name}{by}")


def _is_ours(name: str) -> bool:
    # What an engine or a pool imports when it is made has no importer.
    return name.partition(".")[0] in {"todo", "__main__", ""}


def _figure(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}" if unit == "s" else f"{value:.1f} {unit}"


def columns_of(words: Iterable[str]) -> str:
    """One row of the table."""
    return "".join(f"{word:>14}" for word in words)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
