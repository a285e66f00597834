import base64
import copy
import dataclasses
import functools
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it has no annotations
import pytest
import yaml

from deploy.errors import DeployError, ExitCode
from deploy.kube import files, loss_report, manifest
from deploy.units.keys import Support
from deploy.units.loader import load_contract, load_units
from deploy.units.spec import Contract, Mount, Volume
from tests.unit.deploy.units.sample import DATA, compile_with, golden, sample_contract

BACKEND, DB = "todo-backend.container", "todo-db.container"
OLDEST = "1.29"
"""The oldest Kubernetes that the manifest is checked against."""

RESTRICTED_VOLUMES = {"emptyDir", "persistentVolumeClaim", "secret"}


@functools.cache
def documents(contract: Contract) -> dict[str, Any]:
    """The manifest as parsed from its YAML, by kind."""
    return {each["kind"]: each for each in yaml.safe_load_all(manifest.render_manifest(contract))}


def pod(contract: Contract) -> Any:  # noqa: ANN401 - parsed YAML
    return documents(contract)["Deployment"]["spec"]["template"]["spec"]


def container(contract: Contract, name: str) -> Any:  # noqa: ANN401 - parsed YAML
    return next(each for each in pod(contract)["containers"] if each["name"] == name)


def env(contract: Contract) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container(contract, "backend")["env"]}


CONTRACTS: dict[str, Callable[[], Contract]] = {
    "sample": sample_contract,
    "project": load_contract,
    "project with the local model": functools.partial(load_contract, ai=True),
}


@pytest.fixture(params=CONTRACTS)
def contract(request: pytest.FixtureRequest) -> Contract:
    return CONTRACTS[request.param]()


def test_the_sample_compiles_to_its_golden_manifest() -> None:
    actual = manifest.render_manifest(sample_contract())
    assert golden("todo.yaml", actual) == actual


@pytest.mark.parametrize(("path", "ai"), [(files.MANIFEST, False), (files.AI_MANIFEST, True)])
def test_a_committed_manifest_is_what_the_units_say(path: Path, *, ai: bool) -> None:
    text = manifest.render_manifest(load_contract(ai=ai))
    assert list(files.diff_manifest(text, path)) == []


def test_rendering_twice_gives_the_same_text() -> None:
    contract = sample_contract()
    assert manifest.render_manifest(contract) == manifest.render_manifest(contract)


def test_kubernetes_knows_every_field(contract: Contract) -> None:
    secret = yaml.safe_load(manifest.render_secret(contract, "x" * 64))
    for document in [*documents(contract).values(), secret]:
        kubernetes_validate.validate(document, OLDEST, strict=True)


def test_pod_security_restricted_holds(contract: Contract) -> None:
    spec = pod(contract)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    kinds = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
    assert kinds <= RESTRICTED_VOLUMES
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    for each in spec["containers"]:
        context = each["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["runAsUser"] > 0
        assert not any("hostPort" in port for port in each.get("ports", []))


def test_probes_are_programs_because_podman_runs_the_others_through_a_shell(
    contract: Contract,
) -> None:
    probes = [
        probe
        for each in pod(contract)["containers"]
        for name, probe in each.items()
        if name.endswith("Probe")
    ]
    assert probes
    assert all("exec" in probe for probe in probes)


@pytest.mark.parametrize("name", ["ai", "backend", "db"])
def test_every_server_of_the_pod_has_all_probes(name: str) -> None:
    probes = {key for key in container(load_contract(ai=True), name) if key.endswith("Probe")}
    assert probes == {"startupProbe", "readinessProbe", "livenessProbe"}


def test_each_probe_of_the_backend_asks_its_own_question() -> None:
    backend = container(sample_contract(), "backend")
    asked = [backend[f"{kind}Probe"]["exec"]["command"][-1] for kind in ("startup", "readiness")]
    assert asked == ["startupz", "readyz"]
    assert backend["livenessProbe"]["exec"]["command"][-1] == "livez"


def test_a_container_may_take_as_long_to_start_as_its_unit_says() -> None:
    probe = container(sample_contract(), "db")["startupProbe"]
    assert (probe["periodSeconds"] * probe["failureThreshold"]) == 180


def test_durations_below_a_second_become_the_second_that_kubernetes_knows() -> None:
    probe = container(sample_contract(), "backend")["livenessProbe"]
    assert (probe["periodSeconds"], probe["timeoutSeconds"]) == (61, 1)


def test_what_hangs_is_killed_without_waiting_for_it_to_stop() -> None:
    probe = container(sample_contract(), "backend")["livenessProbe"]
    assert probe["terminationGracePeriodSeconds"] == 1


def test_a_container_that_nothing_restarts_when_unhealthy_has_no_liveness_probe() -> None:
    assert "livenessProbe" not in container(sample_contract(), "db")


def test_the_backend_listens_on_the_pods_address_with_the_units_ports() -> None:
    contract = sample_contract()
    assert env(contract)["TODO_BIND"] == "0.0.0.0:8080"
    assert env(contract)["TODO_MANAGEMENT_BIND"] == "0.0.0.0:9090"
    assert [port["containerPort"] for port in container(contract, "backend")["ports"]] == [
        8080,
        9090,
    ]


def test_only_the_public_port_is_a_service() -> None:
    ports = documents(sample_contract())["Service"]["spec"]["ports"]
    assert [each["port"] for each in ports] == [8080]


def test_the_migration_stays_in_the_pod_under_its_own_account() -> None:
    contract = sample_contract()
    assert [each["name"] for each in pod(contract)["containers"]] == ["backend", "db", "migrate"]
    migration = container(contract, "migrate")
    assert migration["args"] == ["-m", "todo.admin", "migrate", "--note", "two words", "--stay"]
    assert migration["securityContext"]["runAsUser"] == 10004
    assert "TODO_DATABASE_MIGRATE" not in env(contract)


def test_the_groups_of_a_container_are_the_pods() -> None:
    assert pod(sample_contract())["securityContext"]["supplementalGroups"] == [10001]


def test_kubernetes_expands_nothing_in_a_value() -> None:
    assert env(sample_contract())["TODO_GREETING"] == "50% of $$(HOME)"


def test_limits_are_the_units() -> None:
    contract = sample_contract()
    assert container(contract, "backend")["resources"]["limits"] == {
        "memory": "1Gi",
        "cpu": "1500m",
    }
    assert container(contract, "db")["resources"]["limits"] == {"memory": "1000000"}


def test_a_pod_stops_as_patiently_as_its_most_patient_container() -> None:
    assert pod(sample_contract())["terminationGracePeriodSeconds"] == 60


def test_nothing_in_the_pod_has_the_name_of_something_of_the_units(contract: Contract) -> None:
    # Podman would take it for the same volume or secret: two servers on one data folder.
    own = {each.name for each in contract.volumes} | {each.unit for each in contract.volumes}
    own |= {secret.name for each in contract.containers for secret in each.secrets}
    names = {volume["name"] for volume in pod(contract)["volumes"]}
    names.add(documents(contract)["PersistentVolumeClaim"]["metadata"]["name"])
    names.add(yaml.safe_load(manifest.render_secret(contract, "x"))["metadata"]["name"])
    assert not own & names


def test_every_mount_has_its_volume_and_every_volume_its_mount(contract: Contract) -> None:
    spec = pod(contract)
    mounted = {mount["name"] for each in spec["containers"] for mount in each["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["volumes"]}


def test_memory_that_the_units_size_is_sized(contract: Contract) -> None:
    memory = [
        volume["emptyDir"]
        for volume in pod(contract)["volumes"]
        if volume.get("emptyDir", {}).get("medium")
    ]
    assert memory
    assert all("sizeLimit" in each for each in memory)


def test_shared_memory_is_writable_only_where_a_unit_says_so() -> None:
    contract = sample_contract()
    flags = {
        name: [
            mount.get("readOnly", False)
            for mount in container(contract, name)["volumeMounts"]
            if mount["mountPath"] == "/dev/shm"  # noqa: S108 - the mount itself
        ]
        for name in ("backend", "db")
    }
    assert flags == {"backend": [True], "db": [False]}


def test_no_network_in_the_units_is_a_policy_without_a_way_out() -> None:
    assert documents(sample_contract())["NetworkPolicy"]["spec"]["egress"] == []


def test_the_management_port_is_open_to_the_namespace_of_the_monitoring_only() -> None:
    ingress = documents(sample_contract())["NetworkPolicy"]["spec"]["ingress"]
    monitoring = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}
    }
    assert ingress == [
        {"ports": [{"protocol": "TCP", "port": 8080}]},
        {"from": [monitoring], "ports": [{"protocol": "TCP", "port": 9090}]},
    ]


def test_a_unit_with_a_network_has_no_policy() -> None:
    assert "NetworkPolicy" not in documents(compile_with(BACKEND, "Network=none", "Network=pasta"))


def test_a_changed_unit_changes_the_manifest() -> None:
    changed = compile_with(BACKEND, "MemoryMax=1G", "MemoryMax=300M")
    assert container(changed, "backend")["resources"]["limits"]["memory"] == "300Mi"


def test_a_service_that_is_not_restarted_is_no_part_of_a_deployment() -> None:
    with pytest.raises(DeployError, match="a service without Restart=always") as caught:
        manifest.render_manifest(compile_with(DB, "Restart=always", "Restart=no"))
    assert caught.value.code == ExitCode.DATA


def test_data_of_different_groups_does_not_fit_into_a_pod() -> None:
    contract = sample_contract()
    backend, database, *others = contract.containers
    more = Mount("todo-more", "/more", read_only=False, owner=True)
    changed = dataclasses.replace(
        contract,
        containers=(dataclasses.replace(backend, mounts=(more,)), database, *others),
        volumes=(*contract.volumes, Volume("todo-more", "todo-more", 1, 1)),
    )
    with pytest.raises(DeployError, match="a pod has only one fsGroup"):
        manifest.render_manifest(changed)


# -- The local model ------------------------------------------------------------------------------


def test_the_manifest_with_the_model_adds_to_the_other_one_and_changes_nothing_else() -> None:
    plain, with_model = (copy.deepcopy(pod(load_contract(ai=ai))) for ai in (False, True))
    *former, model = with_model["containers"]
    assert (model["name"], len(former)) == ("ai", len(plain["containers"]))
    added = {"TODO_AI_URL", "TODO_AI_MODE", "TODO_AI_PARALLEL_REQUESTS"}
    backend = former[0]
    assert {each["name"] for each in backend["env"]} >= added
    backend["env"] = [each for each in backend["env"] if each["name"] not in added]
    for each in (*former, with_model):
        key = "volumes" if each is with_model else "volumeMounts"
        each[key] = [one for one in each[key] if one["name"] != "todo-pod-ai-socket"]
    assert former == plain["containers"]
    assert {**with_model, "containers": former} == plain


def test_the_folder_of_the_models_socket_is_the_only_volume_that_it_adds() -> None:
    plain, with_model = (
        {each["name"] for each in pod(load_contract(ai=ai))["volumes"]} for ai in (False, True)
    )
    assert with_model - plain == {"todo-pod-ai-socket"}


def test_the_model_runs_under_an_account_of_its_own_with_the_backends_group() -> None:
    contract = load_contract(ai=True)
    accounts = {
        each["name"]: each["securityContext"]["runAsUser"] for each in pod(contract)["containers"]
    }
    assert len(set(accounts.values())) == len(accounts)
    contexts = [container(contract, name)["securityContext"] for name in ("ai", "backend")]
    assert len({each["runAsGroup"] for each in contexts}) == 1


def test_a_oneshot_other_than_the_migration_has_no_form() -> None:
    contract = sample_contract()
    backup = dataclasses.replace(contract.container("todo-migrate"), unit="todo-backup")
    containers = (*contract.containers, backup)
    with pytest.raises(DeployError, match="the oneshot todo-backup"):
        manifest.render_manifest(dataclasses.replace(contract, containers=containers))


def test_the_secret_holds_the_value_under_the_units_name() -> None:
    document = yaml.safe_load(manifest.render_secret(sample_contract(), "s3cret"))
    assert document["stringData"] == {"todo-token-secret": "s3cret"}
    mount = next(
        mount
        for mount in container(sample_contract(), "backend")["volumeMounts"]
        if mount["name"] == document["metadata"]["name"]
    )
    assert (mount["mountPath"], mount["subPath"]) == (
        "/run/secrets/todo-token-secret",
        "todo-token-secret",
    )


def test_secret_and_manifest_can_be_one_stream() -> None:
    contract = sample_contract()
    stream = manifest.render_secret(contract, "x") + manifest.render_manifest(contract)
    kinds = [each["kind"] for each in yaml.safe_load_all(stream)]
    assert kinds[:2] == ["Secret", "PersistentVolumeClaim"]


def test_a_made_secret_has_48_bytes_and_is_another_each_time() -> None:
    first, second = files.make_secret(), files.make_secret()
    assert len(base64.urlsafe_b64decode(first)) == 48
    assert first != second


def test_a_secret_file_is_its_owners_alone_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "secret.yaml"
    files.write_secret("one", path)
    with pytest.raises(DeployError, match="exists") as caught:
        files.write_secret("two", path)
    assert caught.value.code == ExitCode.CONFIG
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("one", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_a_secret_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=": No such file or directory"):
        files.write_secret("one", tmp_path / "absent" / "secret.yaml")


def test_an_existing_secret_is_taken_without_its_final_newline(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("x" * 32 + "\n")
    assert files.read_secret(path) == "x" * 32


@pytest.mark.parametrize("content", [b"short", b"x" * 40 + b"\nmore", b"\xff" * 40, None])
def test_a_secret_that_is_no_use_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DeployError) as caught:
        files.read_secret(path)
    assert caught.value.code == ExitCode.CONFIG


def test_the_manifest_is_written_once_and_then_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "kube" / "todo.yaml"
    assert [files.write_manifest("a: 1\n", path) for _ in range(2)] == [True, False]
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("a: 1\n", 0o644)


def test_a_stale_manifest_shows_as_a_diff(tmp_path: Path) -> None:
    path = tmp_path / "todo.yaml"
    path.write_text("a: 1\n")
    assert list(files.diff_manifest("a: 2\n", path))[-2:] == ["-a: 1", "+a: 2"]


def report_rows(folder: Path) -> Iterator[tuple[str, str, set[str]]]:
    for line in loss_report.render_report(load_units(folder)).splitlines()[1:]:
        section, key, *rest = line.split()
        yield section, key, set(rest[:2])


def test_the_report_has_every_key_of_the_units_once_with_two_fates() -> None:
    used = {
        (f"[{each.section}]", each.key)
        for unit in load_units(DATA / "units")
        for each in unit.assignments
    }
    rows = list(report_rows(DATA / "units"))
    assert sorted(used) == [(section, key) for section, key, _ in rows]
    assert all(fates <= {fate.value for fate in Support} for _, _, fates in rows)
