"""docs/monitoring is right: promtool accepts it, and it asks for what a backend exports."""

import json
import subprocess
import uuid
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from deploy.dev import suite_programs
from tests.guides import blocks_of
from tests.integration.backup.backup_folder import make_roles
from tests.integration.cluster import Cluster
from tests.integration.conftest import migrate_as_owner
from tests.integration.observability.watching import open_node_exporter
from tests.integration.promql import find_faults
from tests.integration.service import Service, open_service

FOLDER = Path(__file__).parents[3] / "docs" / "monitoring"
GROUPS = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
WITHOUT = {
    "TODO_DATABASE_URL": "postgresql+psycopg://todo@127.0.0.1:1/todo",
    "TODO_AI_URL": "http://127.0.0.1:1/v1",
}


def run_promtool(*arguments: str, stdin: str = "") -> str:
    """Run promtool in the folder; it must succeed."""
    return run_tool("promtool", *arguments, stdin=stdin)


def run_tool(name: str, *arguments: str, stdin: str = "") -> str:
    """Run a program in the folder; it must succeed."""
    program = suite_programs.find_monitoring(name)
    assert program, f"no {name} here: python3 build.py test integration fetches it"
    done = subprocess.run(
        [str(program), *arguments],
        cwd=FOLDER,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def scraped(sqlite_service: Service) -> str:
    """Metrics of a backend after valid, unknown and forbidden requests."""
    with sqlite_service.client(sqlite_service.token(f"user-{uuid.uuid4()}")) as client:
        client.post("/api/v1/tasks", json={"title": "Water the plants"})
        client.get("/api/v1/tasks")
        client.get(f"/api/v1/tasks/{uuid.uuid4()}")
        client.get("/readyz")
        client.get("/nowhere")
    return sqlite_service.get_check("metrics").text


@pytest.fixture(scope="module")
def scraped_without() -> str:
    """Metrics of a backend without its database and its model server."""
    with open_service(WITHOUT) as lost:
        lost.wait_started()
        with lost.client(lost.token()) as client:
            client.get("/api/v1/tasks")
        return lost.get_check("metrics").text


@pytest.fixture(scope="module")
def scraped_with_backups(own_cluster: Cluster) -> str:
    """Metrics of a backend whose database is backed up."""
    url = own_cluster.make_database()
    migrate_as_owner(own_cluster.hand_over(url))
    make_roles(own_cluster, url)
    outcome = '{"at": "2026-11-30T03:15:07Z", "ok": true, "seconds": 7, "bytes": 20}'
    for name in ("backup", "drill"):
        own_cluster.query(url, f"ALTER ROLE todo_backup SET todo.{name} = '{outcome}'")
    update = '{"at": "2026-11-30T04:15:07+00:00", "result": "updated", "refused": 0}'
    own_cluster.query(url, f"ALTER ROLE CURRENT_USER SET todo.update = '{update}'")
    own_cluster.query(url, "SELECT pg_create_physical_replication_slot('todo_wal', true)")
    with open_service({"TODO_DATABASE_URL": url}) as service:
        service.wait_ready()
        return service.get_check("metrics").text


@pytest.fixture(scope="module")
def scraped_of_machine(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Metrics of Debian's node_exporter on this machine."""
    with open_node_exporter(tmp_path_factory.mktemp("node")) as address:
        return httpx.get(f"http://{address}/metrics", timeout=60).text


@pytest.fixture(scope="module")
def exported(
    scraped: str, scraped_without: str, scraped_with_backups: str, scraped_of_machine: str
) -> dict[str, dict[str, set[str]]]:
    """Metric -> label -> values, of all three backends and of the machine."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for text in (scraped, scraped_without, scraped_with_backups, scraped_of_machine):
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name].update(
                    {name: found[sample.name][name] for name in sample.labels}
                )
                for name, value in sample.labels.items():
                    found[sample.name][name].add(value)
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """Name and text of every expression in the rules and in the dashboard."""
    for rule in RULES:
        yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']} {target['refId']}", target["expr"]


@pytest.mark.parametrize(
    "expression", [pytest.param(text, id=name) for name, text in expressions()]
)
def test_an_expression_asks_for_what_a_backend_exports(
    exported: dict[str, dict[str, set[str]]], expression: str
) -> None:
    assert find_faults(expression, exported, RECORDED) == []


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("rate(todo_absent_total[5m])", "no metric todo_absent_total"),
        ('todo_ready{state="x"} == 0', "todo_ready has no label state"),
        ('todo_breaker_state{state=~"open|ajar"}', "todo_breaker_state has no state=ajar"),
        ("sum by (shade) (todo_ready)", "nothing has the label shade"),
    ],
)
def test_an_expression_for_what_is_not_exported_is_found(
    exported: dict[str, dict[str, set[str]]], expression: str, fault: str
) -> None:
    assert find_faults(expression, exported, RECORDED) == [fault]


def test_every_metric_of_the_program_is_on_the_dashboard(scraped_without: str) -> None:
    own = {
        family.name
        for family in text_string_to_metric_families(scraped_without)
        if family.name.startswith("todo_")
    }
    shown = " ".join(expression for _name, expression in expressions())

    assert {name for name in own if name not in shown} == set()


def test_promtool_accepts_the_configuration_and_the_rules() -> None:
    assert f"{len(RULES)} rules found" in run_promtool("check", "rules", "alerts.yaml")
    assert "SUCCESS" in run_promtool("check", "config", "prometheus.yaml")


def test_promtool_accepts_the_examples_of_several_instances(tmp_path: Path) -> None:
    examples = blocks_of("monitoring/README.md", "yaml")
    assert len(examples) == 2
    for example in examples:
        path = tmp_path / "prometheus.yaml"
        path.write_text(example)
        run_promtool("check", "config", str(path))


def test_amtool_accepts_the_configuration_and_its_routes() -> None:
    assert "SUCCESS" in run_tool("amtool", "check-config", "alertmanager.yaml")
    for severity in ("page", "ticket"):
        routed = run_tool(
            *("amtool", "config", "routes", "test", "--config.file=alertmanager.yaml"),
            f"severity={severity}",
        )
        assert f"{severity}s" in routed.splitlines()


def test_each_alert_fires_when_it_should_and_only_then() -> None:
    assert "SUCCESS" in run_promtool("test", "rules", "alerts.test.yaml")


def test_promtool_finds_no_fault_in_the_metrics(
    scraped: str, scraped_without: str, scraped_with_backups: str
) -> None:
    for text in (scraped, scraped_without, scraped_with_backups):
        assert run_promtool("check", "metrics", stdin=text) == ""


def test_promtool_can_read_what_grafana_will_ask(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, (_name, expression) in enumerate(expressions())
    ]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))

    assert f"{len(rules)} rules found" in run_promtool("check", "rules", str(path))
