"""Renderer of Kubernetes probes from a unit's health check; no I/O."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploy.units.spec import Container, Probe

_LIVE, _READY, _STARTED = "livez", "readyz", "startupz"


def render_probes(container: Container, migration_s: float) -> dict[str, Any]:
    """Return the manifest fields of a container's startup, readiness and liveness probes, if any.

    `migration_s` is the maximum duration of the migrations before its start.
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
        # This is the minimum in Kubernetes; a process that hangs does not react to SIGTERM.
        probes["livenessProbe"]["terminationGracePeriodSeconds"] = 1
    return probes


def escape(text: str) -> str:
    """Escape a text for commands and variables, in which Kubernetes expands `$(NAME)`."""
    return text.replace("$(", "$$(")


def _probe(health: Probe, question: str, failures: int) -> dict[str, Any]:
    # The command, with `livez` replaced by the path of this probe.
    command = [escape(question if word == _LIVE else word) for word in health.command]
    return {
        "exec": {"command": command},
        "periodSeconds": _seconds(health.interval_s),
        "timeoutSeconds": _seconds(health.timeout_s),
        "failureThreshold": failures,
    }


def _seconds(duration_s: float) -> int:
    """Return a duration rounded up to whole seconds, the unit of the manifest."""
    return max(1, math.ceil(duration_s))
