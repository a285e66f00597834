"""Renderer of the Kubernetes manifest from the contract; no I/O.

The database and the backend share one pod, because they communicate over a Unix socket with peer
authentication. docs/adr/0022-deploy-one-pod-with-its-own-names.md explains the less obvious fields.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import yaml

from deploy.errors import DeployError, ExitCode
from deploy.kube import network
from deploy.kube.probes import escape, render_probes
from deploy.units.spec import (
    AI,
    BINDS,
    PREFIX,
    Container,
    Contract,
    Mount,
    Volume,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

Manifest = dict[str, Any]

NAME = "todo"
POD = f"{NAME}-pod"
"""Podman's name for the pod of a Deployment named `NAME`."""

_HEADER = """\
# Generated from quadlet/ by `python3 build.py kube`; do not edit.
"""
_PRIVATE = """\
# The token secret of the todo backend. Keep it private, and never commit it.
"""
_LABELS = {"app.kubernetes.io/name": NAME}
_STORAGE = "1Gi"
_CPU_REQUEST = "100m"
_ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - the pod's own network namespace
_PULL = {"never": "Never", "missing": "IfNotPresent", "always": "Always", "newer": "Always"}
_EMPTY = f"{POD}-empty"
_STAY = "--stay"

# Podman and Kubernetes mount a writable tmpfs here, which the units forbid. (Podman also mounts one
# on /var/tmp, sometimes over a mount of the manifest.)
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a place to cover, not to use


def render_manifest(contract: Contract) -> str:
    """Return the manifest as YAML; raise a DeployError if one pod cannot express the contract."""
    return _HEADER + _yaml(manifest(contract))


def render_secret(contract: Contract, value: str) -> str:
    """Return the pod's Secret as YAML; raise a DeployError unless the units use exactly one."""
    secrets = {secret.name: secret for each in _services(contract) for secret in each.secrets}
    if len(secrets) != 1:
        raise _inexpressible(f"{len(secrets)} secrets", "this command supports exactly one")
    (name,) = secrets
    document = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": pod_name(name), "labels": _LABELS},
        "type": "Opaque",
        "stringData": {name: value},
    }
    return _PRIVATE + _yaml([document])


def manifest(contract: Contract) -> list[Manifest]:
    """Return the manifest's documents, in the order in which they are applied."""
    services = _services(contract)
    claims = [_claim(each) for each in _find_claims(contract, services)]
    documents = [
        *claims,
        _deployment(contract, services),
        network.render_service(contract, NAME, _LABELS),
    ]
    if all(each.networks == ("none",) for each in services):
        documents.append(network.render_policy(contract, NAME, _LABELS))
    return documents


def pod_name(name: str) -> str:
    """Return the pod's own name for a volume or secret of the units.

    Podman stores the claims, emptyDirs and Secrets of a manifest among its own volumes and secrets.
    With the same names, the pod and the units would share their data.
    """
    return f"{POD}-{name.removeprefix(PREFIX)}"


def _services(contract: Contract) -> list[Container]:
    """Return the services of the pod, including the migration, which keeps running afterwards."""
    for container in contract.containers:
        if container.oneshot and container.unit != f"{PREFIX}migrate":
            raise _inexpressible(
                f"the oneshot {container.unit}", "only the migration can be converted"
            )
    # The optional one is last, because patches refer to the others by index.
    ordered = sorted(contract.containers, key=lambda each: each.unit == AI)
    return [_stay(each) if each.oneshot else each for each in ordered]


def _stay(migration: Container) -> Container:
    """Return the migration as a container that keeps running: Deployments restart exited ones."""
    return dataclasses.replace(
        migration, oneshot=False, command=(*migration.command, _STAY), restart_policy="always"
    )


def _inexpressible(what: str, hint: str) -> DeployError:
    return DeployError(f"the manifest cannot express {what}", hint=hint, code=ExitCode.DATA)


def _find_claims(contract: Contract, services: Sequence[Container]) -> list[Volume]:
    """Return the volumes with data: those that a single container mounts."""
    return [each for each in _mounted(contract, services) if not _shared(services, each)]


def _mounted(contract: Contract, services: Sequence[Container]) -> list[Volume]:
    return [
        volume for volume in contract.volumes if any(_mounts(each, volume) for each in services)
    ]


def _shared(services: Sequence[Container], volume: Volume) -> bool:
    """Return whether several containers mount the volume; it then contains sockets, not data."""
    return sum(_mounts(each, volume) for each in services) > 1


def _mounts(container: Container, volume: Volume) -> bool:
    return any(mount.volume == volume.unit for mount in container.mounts)


def _claim(volume: Volume) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": pod_name(volume.name),
            "labels": _LABELS,
            "annotations": {
                "volume.podman.io/uid": str(volume.uid),
                "volume.podman.io/gid": str(volume.gid),
            },
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": _STORAGE}},
        },
    }


def _deployment(contract: Contract, services: Sequence[Container]) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "labels": _LABELS},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": _LABELS},
            "template": {"metadata": {"labels": _LABELS}, "spec": _pod(contract, services)},
        },
    }


def _pod(contract: Contract, services: Sequence[Container]) -> Manifest:
    # fsGroup gives all containers access to the folders that they share.
    groups = {volume.gid for volume in _find_claims(contract, services)}
    if len(groups) != 1:
        raise _inexpressible("data of different groups", "a pod has only one fsGroup")
    if any(each.restart_policy != "always" for each in services):
        raise _inexpressible("a service without Restart=always", "a Deployment always restarts")
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": max(each.stop_timeout_s for each in services),
        "securityContext": {
            "runAsNonRoot": True,
            "supplementalGroups": sorted({group for each in services for group in each.groups}),
            "fsGroup": groups.pop(),
            # Otherwise every start would open the database's 0700 folder to the group.
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(contract, each) for each in services],
        "volumes": _volumes(contract, services),
    }


def _container(contract: Contract, container: Container) -> Manifest:
    ports = [
        {"name": network.PORT_NAMES[socket.role], "containerPort": socket.port}
        for socket in contract.sockets
        if socket.container == container.unit
    ]
    environment = [
        {"name": name, "value": escape(value)} for name, value in _environment(contract, container)
    ]
    optional = {
        "command": list(map(escape, container.entrypoint)),
        "args": list(map(escape, container.command)),
        "workingDir": container.working_dir,
        "env": environment,
        "ports": ports,
        **render_probes(container, _migration_timeout_s(contract, container)),
    }
    return {
        "name": container.short,
        "image": container.image,
        "imagePullPolicy": _PULL[container.pull],
        **{key: value for key, value in optional.items() if value},
        "resources": _resources(container),
        "securityContext": {
            "runAsUser": container.uid,
            "runAsGroup": container.gid,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": _volume_mounts(container),
    }


def _environment(contract: Contract, container: Container) -> list[tuple[str, str]]:
    """Return the variables of the unit, with its sockets bound to all addresses of the pod."""
    ports = {
        BINDS[socket.role]: socket.port
        for socket in contract.sockets
        if socket.container == container.unit
    }
    return [
        (name, f"{_ANY_ADDRESS}:{ports[name]}" if name in ports else value)
        for name, value in container.environment
    ]


def _migration_timeout_s(contract: Contract, container: Container) -> float:
    """Return the maximum duration in seconds of the migrations that run from the same image."""
    return sum(
        each.start_timeout_s or 0.0
        for each in contract.containers
        if each.oneshot and each.image == container.image
    )


def _resources(container: Container) -> Manifest:
    limits = {}
    requests = {"cpu": _CPU_REQUEST}
    if container.limits.memory is not None:
        limits["memory"] = requests["memory"] = _quantity(container.limits.memory)
    if container.limits.cpu_percent is not None:
        limits["cpu"] = f"{container.limits.cpu_percent * 10}m"
    return {"requests": requests, **({"limits": limits} if limits else {})}


def _quantity(size: int) -> str:
    """Return a size in bytes as a Kubernetes quantity, with the largest suffix that is exact."""
    for suffix, unit in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if size and size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)


def _memory(container: Container) -> list[tuple[str, int]]:
    """Return the path and the size in bytes of each tmpfs of the container."""
    found = {each.path: each.size for each in container.tmpfs}
    if container.shm_size is not None:
        found.setdefault(_SHARED_MEMORY, container.shm_size)
    return sorted(found.items())


def _memory_name(container: Container, path: str) -> str:
    return f"{container.short}{path.replace('/', '-')}"


def _volume_mounts(container: Container) -> list[Manifest]:
    mounts = [_volume_mount(each) for each in container.mounts]
    mounts += [
        {
            "name": pod_name(secret.name),
            "mountPath": secret.path,
            "subPath": secret.name,
            "readOnly": True,
        }
        for secret in container.secrets
    ]
    memory = [path for path, _ in _memory(container)]
    mounts += [{"name": _memory_name(container, path), "mountPath": path} for path in memory]
    if _SHARED_MEMORY not in memory:
        mounts.append({"name": _EMPTY, "mountPath": _SHARED_MEMORY, "readOnly": True})
    return mounts


def _volume_mount(mount: Mount) -> Manifest:
    flag = {"readOnly": True} if mount.read_only else {}
    return {"name": pod_name(mount.volume), "mountPath": mount.path, **flag}


def _volumes(contract: Contract, services: Sequence[Container]) -> list[Manifest]:
    volumes: list[Manifest] = []
    for volume in _mounted(contract, services):
        source = (
            {"emptyDir": {}}
            if _shared(services, volume)
            else {"persistentVolumeClaim": {"claimName": pod_name(volume.name)}}
        )
        volumes.append({"name": pod_name(volume.unit), **source})
    # Podman cannot make the container's account the owner of the file, so the file is readable by
    # all accounts; the only container that mounts it has a single account.
    secrets = {secret.name: None for each in services for secret in each.secrets}
    volumes += [
        {
            "name": pod_name(name),
            "secret": {"secretName": pod_name(name), "defaultMode": 0o444},
        }
        for name in secrets
    ]
    volumes += [
        {
            "name": _memory_name(each, path),
            "emptyDir": {"medium": "Memory", "sizeLimit": _quantity(size)},
        }
        for each in services
        for path, size in _memory(each)
    ]
    return [*volumes, {"name": _EMPTY, "emptyDir": {}}]


class _Dumper(yaml.SafeDumper):
    """YAML dumper without anchors, which make a manifest harder to read."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - all of them
        return True


def _yaml(documents: list[Manifest]) -> str:
    # PyYAML's type stubs know neither the dumper's class nor that the result is text.
    return str(
        yaml.dump_all(
            documents,
            Dumper=_Dumper,
            sort_keys=False,
            # This allows users to concatenate the Secret and the manifest.
            explicit_start=True,
            width=100,
            allow_unicode=True,
        )
    )
