"""Health checks of a unit to the probes of Kubernetes; no I/O."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploy.units.spec import Container, Probe

_LIVE, _READY, _STARTED = "livez", "readyz", "startupz"


def render_probes(container: Container, migration_s: float) -> dict[str, Any]:
    """Return the startup, readiness and liveness probes of a container, as fields of its manifest.

    Args:
        container: Container with its health check; without one the result is empty.
        migration_s: Seconds that migrations of the container may take at its start.
    """
    health = container.health
    if health is None:
        return {}
    timeout_s = (container.start_timeout_s or health.start_period_s) + migration_s
    attempts = max(1, math.ceil(timeout_s / _seconds(health.interval_s)))
    probes = {
        "startupProbe": _probe(health, _STARTED, attempts),
        "readinessProbe": _probe(health, _READY, health.retries),
    }
    if health.on_failure != "none":
        probes["livenessProbe"] = _probe(health, _LIVE, health.retries)
    if health.on_failure == "kill":
        # The shortest that Kubernetes knows: what hangs does not react to a stop signal.
        probes["livenessProbe"]["terminationGracePeriodSeconds"] = 1
    return probes


def escape(text: str) -> str:
    """Kubernetes expands `$(NAME)` in commands and variables; `$$` is a dollar."""
    return text.replace("$(", "$$(")


def _probe(health: Probe, question: str, failures: int) -> dict[str, Any]:
    # The same command with another question, where the program knows several.
    command = [escape(question if word == _LIVE else word) for word in health.command]
    return {
        "exec": {"command": command},
        "periodSeconds": _seconds(health.interval_s),
        "timeoutSeconds": _seconds(health.timeout_s),
        "failureThreshold": failures,
    }


def _seconds(duration_s: float) -> int:
    """Return a duration in the whole seconds that a manifest can express."""
    return max(1, math.ceil(duration_s))
