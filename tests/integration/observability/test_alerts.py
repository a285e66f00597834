"""docs/monitoring in the real Prometheus and Alertmanager, on backends that meet real faults."""

import contextlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.assistant.model_server import ModelServer, open_model_server
from tests.integration.backup.backup_folder import BackupFolder, make_roles
from tests.integration.cluster import Cluster, open_cluster
from tests.integration.conftest import migrate_as_owner
from tests.integration.observability import alert_faults as faults
from tests.integration.observability import watching
from tests.integration.observability.alert_faults import Backend, Backups, open_backend
from tests.integration.observability.watching import Watch
from tests.integration.service import open_folder
from tests.machine_clock import wait_until

ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in watching.load("alerts.yaml")["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
# Each alert, and the backend whose instance it names.
WITHOUT_TARGET = {"TodoNotWatched": None}
OUTAGES = {
    "TodoNotReady": "lost",
    "TodoBreakerOpen": "lost",
    "TodoBreakerFlaps": "lost",
    "TodoErrorsFast": None,
    "TodoSlow": None,
    "TodoPoolExhausted": "busy",
    "TodoPoolNearlyFull": "busy",
    "TodoAssistantDegraded": "main",
    "TodoModelRefuses": "main",
}
LASTING = {
    "TodoFileDescriptors": "second",
    "TodoRefusesMany": None,
    "TodoVersionsDiffer": None,
    "TodoBackupOld": None,
    "TodoBackupFails": None,
    "TodoBackupReceivesNothing": None,
    "TodoBackupWalBehind": None,
    "TodoDrillFails": None,
    "TodoDrillOld": None,
    "TodoUpdateFails": None,
}
WORSE = {"TodoBackupWalLost": None, "TodoDown": "second"}
FIRED = {**WITHOUT_TARGET, **OUTAGES, **LASTING, **WORSE}
HELD_BACK = "TodoErrorsSlow"
MIGRATES = {"TODO_DATABASE_MIGRATE": "startup"}
# Ten times what it takes on a quiet machine, or more.
WITHIN_S = 1200
TEST_LIMIT_S = 3600
# An alert says nothing while all is well: without its threshold the rest of it must have a value.
_THRESHOLD = re.compile(r" (?:==|[<>]) [\d.]+(?: \* \d+)*")
# These have a value only during a fault, which the test of faults sees: nothing is watched, WAL is
# lost, or a request has failed.
ONLY_IN_FAULTS = re.compile("TodoNotWatched|TodoBackupWalLost|TodoErrors.*|.*_error_ratio:.*")


@dataclass(frozen=True)
class World:
    """The monitored service and its monitoring."""

    watch: Watch
    model: ModelServer
    backups: Backups
    cluster: Cluster
    lost_cluster: Cluster
    main: Backend
    lost: Backend
    busy: Backend
    busy_url: str
    second: Backend
    machine: str

    def scrape(self) -> None:
        backends = (self.main, self.lost, self.busy, self.second)
        addresses = [backend.address for backend in backends]
        self.watch.scrape({"todo-backend": addresses, "node": [self.machine]})

    def wait_fired(self, expected: Mapping[str, str | None]) -> None:
        """Wait until the receiver was sent these alerts."""

        def has_fired(name: str, backend: str | None) -> bool:
            address = getattr(self, backend).address if backend else None
            return bool(self.watch.receiver.find(name, address))

        self._wait_for(expected, lambda name: has_fired(name, expected[name]), "fired")

    def wait_resolved(self, names: Iterable[str]) -> None:
        """Wait until the receiver was sent that these alerts are over."""
        self._wait_for(names, self.watch.receiver.is_resolved, "resolved")

    def _wait_for(self, names: Iterable[str], met: Callable[[str], bool], what: str) -> None:
        def find_missing() -> list[str]:
            return [name for name in names if not met(name)]

        wait_until(
            lambda: not find_missing(),
            f"all alerts {what}",
            within_s=WITHIN_S,
            explain=lambda: f"{find_missing()} of {self.watch.find_firing()}",
            poll_s=0.5,
        )


@pytest.fixture(scope="module")
def world(cluster: Cluster, own_cluster: Cluster) -> Iterator[World]:
    """Backends with everything, a database of their own, a small pool, and an older version."""
    url, busy_url = own_cluster.make_database(), cluster.make_database()
    migrate_as_owner(own_cluster.hand_over(url))
    make_roles(own_cluster, url)
    with contextlib.ExitStack() as stack:
        lost_cluster = stack.enter_context(open_cluster())
        folder = stack.enter_context(open_folder())
        shared = Path(tempfile.mkdtemp(prefix="todo-backup-"))
        shared.chmod(0o755)
        stack.callback(shutil.rmtree, shared)
        backups = Backups(BackupFolder(shared, own_cluster, url), own_cluster, url)
        stack.callback(backups.stop)
        backups.record("backup")
        backups.record("drill")
        backups.record_update("updated")
        backups.receive()
        model = stack.enter_context(open_model_server())
        faults.answer_all(model)
        budgets = {"TODO_AI_TURNS_PER_MINUTE": "0", "TODO_AI_MODE": "tools"}
        main = {"TODO_DATABASE_URL": url, "TODO_AI_URL": model.url, **budgets}
        lost = {
            "TODO_DATABASE_URL": lost_cluster.make_database(),
            "TODO_DATABASE_BREAKER_RESET_S": "0.5",
        }
        busy = {
            "TODO_DATABASE_URL": busy_url,
            "TODO_DATABASE_POOL_SIZE": "2",
            "TODO_DATABASE_POOL_TIMEOUT_S": "60",
            "TODO_DATABASE_STATEMENT_TIMEOUT_S": "2",
        }
        second = {
            "TODO_RATE_LIMIT_PER_MINUTE": "20",
            **faults.copy_sources(folder / "other", "0.0.1"),
        }
        yield World(
            stack.enter_context(watching.open_watch(shared)),
            model,
            backups,
            cluster,
            lost_cluster,
            stack.enter_context(open_backend(folder / "main", **main)),
            stack.enter_context(open_backend(folder / "lost", **lost, **MIGRATES)),
            stack.enter_context(open_backend(folder / "busy", **busy, **MIGRATES)),
            busy_url,
            stack.enter_context(open_backend(folder / "second", **second)),
            stack.enter_context(watching.open_node_exporter(shared)),
        )


@pytest.fixture(scope="module")
def used(world: World) -> Iterator[World]:
    """The same while somebody uses it."""
    world.scrape()
    with (
        world.main.service.client(world.main.service.token("ann")) as client,
        faults.using(world.main, "ann", message=True),
        faults.repeating(lambda: client.get("/api/v1/tasks/unknown")),
    ):
        yield world


def find_panel_expressions() -> Iterator[tuple[str, str]]:
    """Title and expression of each target, as Grafana fills it in for one job and all instances."""
    values = {"$job": "todo-backend", "$instance": ".*", "$__rate_interval": "1m"}
    for panel in json.loads((watching.FOLDER / "dashboard.json").read_text())["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for name, value in values.items():
                expression = expression.replace(name, value)
            yield f"{panel['title']} {target['refId']}", expression


def find_rule_expressions() -> Iterator[tuple[str, str]]:
    """Name and expression of each rule, without its threshold."""
    for group in watching.render_rules()["groups"]:
        for rule in group["rules"]:
            name = rule.get("alert") or rule["record"]
            if not ONLY_IN_FAULTS.fullmatch(name):
                yield name, _THRESHOLD.sub("", rule["expr"])


def wait_for_values(watch: Watch, expressions: dict[str, str]) -> None:
    """Wait until each expression has a value; one that cannot be parsed fails at once."""
    empty = dict(expressions)

    def evaluate() -> bool:
        for name in [name for name, expression in empty.items() if watch.query(expression)]:
            del empty[name]
        return not empty

    wait_until(evaluate, "values", within_s=WITHIN_S, explain=lambda: str(empty), poll_s=0.5)


def test_every_panel_has_data(used: World) -> None:
    expressions = dict(find_panel_expressions())
    assert len(expressions) > 40
    wait_for_values(used.watch, expressions)


def test_every_rule_finds_its_series(used: World) -> None:
    wait_for_values(used.watch, dict(find_rule_expressions()))


def test_prometheus_evaluates_every_rule(used: World) -> None:
    wait_until(
        lambda: all(rule["health"] != "unknown" for rule in used.watch.find_rules()),
        "every rule evaluated",
        within_s=WITHIN_S,
    )
    assert [rule for rule in used.watch.find_rules() if rule["health"] != "ok"] == []


@pytest.mark.longer(TEST_LIMIT_S)
def test_each_fault_fires_its_alerts_and_its_repair_resolves_them(used: World) -> None:
    used.watch.scrape({})
    used.wait_fired(WITHOUT_TARGET)
    used.scrape()
    with used.backups.failing():
        with (
            faults.using(used.second, "ann", "ben"),
            faults.few_file_descriptors(used.second),
        ):
            with (
                faults.killed_database(used.lost, used.lost_cluster),
                faults.locked_tasks(used.busy, used.cluster, used.busy_url),
                faults.refusing_model(used.model),
            ):
                used.wait_fired(OUTAGES)
                # One page is enough for one outage.
                wait_until(
                    lambda: HELD_BACK in used.watch.find_suppressed(),
                    f"{HELD_BACK} held back",
                    within_s=WITHIN_S,
                )
            used.wait_fired(LASTING)
        used.backups.lose_wal()
        used.second.kill()
        used.wait_fired(WORSE)
    # Of the version that the others have.
    used.second.start(PYTHONPATH=used.main.service.environment["PYTHONPATH"])
    used.wait_resolved(FIRED)
    wait_until(
        lambda: HELD_BACK not in used.watch.find_firing(),
        f"{HELD_BACK} resolved",
        within_s=WITHIN_S,
    )
    for name in FIRED:
        for notice in used.watch.receiver.find(name):
            assert notice.annotations["runbook_url"] == ALERTS[name]["annotations"]["runbook_url"]
            assert notice.route == f"/{ALERTS[name]['labels']['severity']}s"


def test_the_page_names_the_alerts_that_no_fault_here_fires() -> None:
    page = (watching.FOLDER / "README.md").read_text()
    _, _, rest = page.partition("with `promtool test rules` only:\n\n")
    table, _, _ = rest.partition("\n\n")
    named = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)

    assert sorted(named) == sorted(set(ALERTS) - set(FIRED) - {HELD_BACK})
