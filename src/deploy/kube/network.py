"""The network of the pod: its Service, and what `Network=none` means to a cluster. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deploy.units.spec import MANAGEMENT, PUBLIC

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.units.spec import Contract

    Manifest = dict[str, Any]
    Labels = Mapping[str, str]

PORT_NAMES = {PUBLIC: "http", MANAGEMENT: "management"}
# Kubernetes itself gives every namespace this label.
_MONITORING = {"kubernetes.io/metadata.name": "monitoring"}


def render_service(contract: Contract, name: str, labels: Labels) -> Manifest:
    """Return the Service of the public port."""
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
    """Render `Network=none` for a cluster: ingress to the two ports, no egress.

    The management port is for the namespace of the monitoring only; it shows what others do.
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
