"""Prometheus, Alertmanager and a receiver of alerts, as docs/monitoring configures them.

A minute of the rules and routes takes a second here, so that `for: 10m` takes ten. Thresholds
and everything else are as shipped. A scrape takes its time on a busy machine: its interval and its
timeout are one second.
"""

import contextlib
import http.server
import json
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from deploy.dev import suite_programs
from tests.guides import DOCS
from tests.integration.cluster import find_free_port
from tests.machine_clock import wait_until

FOLDER = DOCS / "monitoring"
START_TIMEOUT_S = 120
_MINUTE_S = 1.0
_SCRAPE = "1s"
_UNITS_MIN = {"s": 1 / 60, "m": 1, "h": 60, "d": 1440}
_DURATION = r"(\d+)([smhd])"
_WEBHOOK = "http://127.0.0.1:9095"


def load(name: str) -> Any:  # noqa: ANN401 - YAML
    """A file of docs/monitoring."""
    return yaml.safe_load((FOLDER / name).read_text())


def speed_up(duration: str) -> str:
    """Return the shortened duration of a configuration."""
    found = re.fullmatch(_DURATION, duration)
    assert found, f"not a duration: {duration}"
    return f"{round(int(found[1]) * _UNITS_MIN[found[2]] * _MINUTE_S * 1000)}ms"


def speed_up_ranges(expression: str) -> str:
    """An expression whose ranges are as long as those of the rules are here."""
    return re.sub(
        rf"\[({_DURATION})\]", lambda found: f"[{speed_up(found[1])}]", expression, flags=re.ASCII
    )


def render_rules() -> dict[str, Any]:
    """alerts.yaml, sped up."""
    rules: dict[str, Any] = load("alerts.yaml")
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        rule["expr"] = speed_up_ranges(rule["expr"])
        if "for" in rule:
            rule["for"] = speed_up(rule["for"])
    return rules


def render_routes(receiver: str) -> dict[str, Any]:
    """alertmanager.yaml, sped up, with the addresses of a receiver."""
    config: dict[str, Any] = load("alertmanager.yaml")
    for route in (config["route"], *config["route"]["routes"]):
        for name in ("group_wait", "group_interval", "repeat_interval"):
            route[name] = speed_up(route[name])
    for each in config["receivers"]:
        (webhook,) = each["webhook_configs"]
        assert webhook["url"].startswith(_WEBHOOK)
        webhook["url"] = webhook["url"].replace(_WEBHOOK, receiver)
    return config


def render_scrapes(
    rules: Path, alertmanager: str, targets: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """prometheus.yaml with the addresses of this test.

    Args:
        rules: The file of rules.
        alertmanager: Its address.
        targets: Job -> addresses.
    """
    config: dict[str, Any] = load("prometheus.yaml")
    config["global"] = dict.fromkeys(config["global"], _SCRAPE)
    config["rule_files"] = [str(rules)]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alertmanager]
    for job in config["scrape_configs"]:
        job["scrape_timeout"] = _SCRAPE
        job["static_configs"][0]["targets"] = list(targets.get(job["job_name"], ()))
    return config


@dataclass(frozen=True)
class Notice:
    """Notification about one alert."""

    route: str
    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.labels["alertname"]


class Receiver:
    """A webhook that remembers."""

    def __init__(self) -> None:
        self._notices: list[Notice] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver._notices += [
                    Notice(self.path, each["status"], each["labels"], each["annotations"])
                    for each in sent["alerts"]
                ]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def find(self, name: str, instance: str | None = None) -> list[Notice]:
        """The notices of an alert, oldest first."""
        return [
            notice
            for notice in list(self._notices)
            if notice.name == name and instance in {None, notice.labels.get("instance")}
        ]

    def is_resolved(self, name: str) -> bool:
        """Return whether the last word on each series of an alert is that it is over."""
        last = {json.dumps(each.labels, sort_keys=True): each.status for each in self.find(name)}
        return set(last.values()) == {"resolved"}

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


class Watch:
    """Prometheus with Alertmanager and its receiver.

    Attributes:
        receiver: What Alertmanager sends to.
    """

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.receiver = receiver
        self._folder = folder
        self._rules = folder / "alerts.yaml"
        self._config = folder / "prometheus.yaml"
        self._prometheus = f"127.0.0.1:{find_free_port()}"
        self._alertmanager = f"127.0.0.1:{find_free_port()}"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._rules.write_text(yaml.safe_dump(render_rules()))
        (folder / "alertmanager.yaml").write_text(yaml.safe_dump(render_routes(receiver.url)))

    def start(self) -> None:
        """Start both, without a target."""
        self.scrape({})
        # fmt: off
        self._start(
            "prometheus-alertmanager",
            f"--config.file={self._folder}/alertmanager.yaml",
            f"--storage.path={self._folder}/alertmanager",
            f"--web.listen-address={self._alertmanager}",
            "--cluster.listen-address=",
        )
        self._start(
            "prometheus",
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self._folder}/prometheus",
            f"--web.listen-address={self._prometheus}",
        )
        # fmt: on
        wait_until(
            lambda: self._is_ready(self._alertmanager) and self._is_ready(self._prometheus),
            "Alertmanager and Prometheus ready",
            within_s=START_TIMEOUT_S,
            explain=self._explain,
            ignore=[httpx.TransportError],
        )

    def _is_ready(self, address: str) -> bool:
        for process in self._processes:
            assert process.poll() is None, self._explain()
        return httpx.get(f"http://{address}/-/ready").is_success

    def _start(self, name: str, *arguments: str) -> None:
        program = suite_programs.find_monitoring(name)
        assert program, f"no {name} here: python3 build.py test integration fetches it"
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [program, *arguments], stdout=log, stderr=log, cwd=program.parent
            )
        self._processes.append(process)

    def _explain(self) -> str:
        return "\n".join(path.read_text()[-2000:] for path in self._folder.glob("*.log"))

    def scrape(self, targets: Mapping[str, Sequence[str]]) -> None:
        """Scrape these targets from now on.

        Args:
            targets: Job -> addresses.
        """
        config = render_scrapes(self._rules, self._alertmanager, targets)
        self._config.write_text(yaml.safe_dump(config))
        if self._processes:
            self._processes[-1].send_signal(signal.SIGHUP)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate an expression now; return its series."""
        found: list[dict[str, Any]] = self._get("query", query=expression)["result"]
        return found

    def find_rules(self) -> list[dict[str, Any]]:
        """All rules, with their health and their alerts."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def find_firing(self) -> dict[str, list[dict[str, Any]]]:
        """The alerts that are pending or fire, by name."""
        return {rule["name"]: found for rule in self.find_rules() if (found := rule.get("alerts"))}

    def find_suppressed(self) -> set[str]:
        """Names of the alerts that Alertmanager has and does not send."""
        answer = httpx.get(f"http://{self._alertmanager}/api/v2/alerts", timeout=START_TIMEOUT_S)
        return {
            each["labels"]["alertname"]
            for each in answer.raise_for_status().json()
            if each["status"]["inhibitedBy"]
        }

    def _get(self, path: str, **parameters: str) -> dict[str, Any]:
        answer = httpx.get(
            f"http://{self._prometheus}/api/v1/{path}", params=parameters, timeout=START_TIMEOUT_S
        ).json()
        assert answer["status"] == "success", f"{parameters}: {answer}"
        found: dict[str, Any] = answer["data"]
        return found

    def stop(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(300)
            finally:
                process.kill()


@contextlib.contextmanager
def open_watch(folder: Path) -> Iterator[Watch]:
    """Run all three for the length of the block."""
    receiver = Receiver()
    with receiver.serving():
        watch = Watch(folder, receiver)
        try:
            watch.start()
            yield watch
        finally:
            watch.stop()


@contextlib.contextmanager
def open_node_exporter(folder: Path) -> Iterator[str]:
    """Run node_exporter for the length of the block; its address."""
    program = suite_programs.find_monitoring("prometheus-node-exporter")
    assert program, "no node_exporter here: python3 build.py test integration fetches it"
    address = f"127.0.0.1:{find_free_port()}"
    with (folder / "node-exporter.log").open("wb") as log:
        process = subprocess.Popen(
            [program, f"--web.listen-address={address}"], stdout=log, stderr=log, cwd=folder
        )
    try:
        wait_until(
            lambda: httpx.get(f"http://{address}/").is_success,
            "a node_exporter",
            within_s=START_TIMEOUT_S,
            explain=(folder / "node-exporter.log").read_text,
            ignore=[httpx.TransportError],
        )
        yield address
    finally:
        process.terminate()
        try:
            process.wait(300)
        finally:
            process.kill()
