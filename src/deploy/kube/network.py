"""Service and NetworkPolicy of the pod; no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deploy.units.spec import MANAGEMENT, PUBLIC

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.units.spec import Contract

    Manifest = dict[str, Any]
    Labels = Mapping[str, str]

PORT_NAMES = {PUBLIC: "http", MANAGEMENT: "management"}
# Kubernetes sets this label on every namespace.
_MONITORING = {"kubernetes.io/metadata.name": "monitoring"}


def render_service(contract: Contract, name: str, labels: Labels) -> Manifest:
    """Return the Service that exposes the public port."""
    port = PORT_NAMES[PUBLIC]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "selector": labels,
            "ports": [{"name": port, "port": contract.port(PUBLIC), "targetPort": port}],
        },
    }


def render_policy(contract: Contract, name: str, labels: Labels) -> Manifest:
    """Return the NetworkPolicy that corresponds to `Network=none`: ingress to the ports, no egress.

    Only the monitoring namespace may reach the management port, which reveals users' activity.
    """
    sources = {MANAGEMENT: {"from": [{"namespaceSelector": {"matchLabels": _MONITORING}}]}}
    ingress = [
        {
            **sources.get(socket.role, {}),
            "ports": [{"protocol": "TCP", "port": socket.port}],
        }
        for socket in contract.sockets
    ]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "podSelector": {"matchLabels": labels},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": [],
        },
    }
