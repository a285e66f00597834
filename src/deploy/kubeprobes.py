"""Health checks of a unit to the probes of Kubernetes; no I/O."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from deploy.contract import StartupProbe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deploy.contract import Container, Probe

_LIVE, _READY, _STARTED = "livez", "readyz", "startupz"


def render_probes(container: Container, migration_s: float) -> dict[str, Any]:
    """The startup, readiness and liveness probes of a container, as fields of its manifest.

    Args:
        container: Its health check; without one there are no probes.
        migration_s: Seconds that the container may spend on migrations when it starts.
    """
    health = container.health
    if health is None:
        return {}
    timeout_s = (container.start_timeout_s or health.start_period_s) + migration_s
    startup = health.startup or StartupProbe(
        _ask(health.command, _STARTED), health.interval_s, health.timeout_s
    )
    attempts = max(1, math.ceil(timeout_s / _seconds(startup.interval_s)))
    probes = {
        "startupProbe": _probe(startup.command, startup, attempts),
        "readinessProbe": _probe(_ask(health.command, _READY), health, health.retries),
    }
    if health.on_failure != "none":
        probes["livenessProbe"] = _probe(health.command, health, health.retries)
    if health.on_failure == "kill":
        # The shortest that Kubernetes knows: what hangs does not react to a stop signal.
        probes["livenessProbe"]["terminationGracePeriodSeconds"] = 1
    return probes


def escape(text: str) -> str:
    """Kubernetes expands `$(NAME)` in commands and variables; `$$` is a dollar."""
    return text.replace("$(", "$$(")


def _probe(command: Iterable[str], timing: Probe | StartupProbe, failures: int) -> dict[str, Any]:
    return {
        "exec": {"command": list(map(escape, command))},
        "periodSeconds": _seconds(timing.interval_s),
        "timeoutSeconds": _seconds(timing.timeout_s),
        "failureThreshold": failures,
    }


def _seconds(duration_s: float) -> int:
    """A duration in the whole seconds that a manifest can express."""
    return max(1, math.ceil(duration_s))


def _ask(command: Iterable[str], question: str) -> tuple[str, ...]:
    """The probe's command with another question, where the program knows several."""
    return tuple(question if word == _LIVE else word for word in command)
