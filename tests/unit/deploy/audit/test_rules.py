"""The audit of units: each rule catches what it is about, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.audit import rules as audit_rules
from deploy.audit.rules import RULES, UnitFinding
from deploy.errors import DeployError, ExitCode
from deploy.units.loader import load_units
from deploy.units.parser import parse_unit

CONTAINER = """\
[Unit]
StartLimitIntervalSec=60
StartLimitBurst=5

[Container]
Image=localhost/todo-x:latest
Pull=never
User=10001
Group=10001
Network=none
Volume=todo-x.volume:/data:ro
Environment=TODO_X=1
Secret=todo-x,type=mount,uid=10001,gid=10001,mode=0400
ReadOnly=true
ReadOnlyTmpfs=false
Tmpfs=/tmp:rw,size=16m,mode=1777,nosuid,nodev,noexec
Mask=/dev/mqueue
DropCapability=all
NoNewPrivileges=true
HealthCmd=["/probe"]
HealthOnFailure=kill
Ulimit=core=0:0
Ulimit=nofile=1024:1024
PidsLimit=0

[Service]
Restart=always
RestartSec=1
TimeoutStartSec=60
MemoryMax=64M
MemorySwapMax=0
OOMScoreAdjust=500
TasksMax=64
CPUQuota=200%
"""
SOCKET = "[Socket]\nListenStream=127.0.0.1:8000\nListenStream=[::1]:9000\nListenStream=/run/x\n"
VOLUME = "[Volume]\nUser=10001\nGroup=10001\n"
TEXTS = {"x.container": CONTAINER, "x.socket": SOCKET, "x.volume": VOLUME}


def audit_text(name: str, text: str) -> list[UnitFinding]:
    return audit_rules.audit([parse_unit(f"quadlet/{name}", text)])


@pytest.mark.parametrize("name", TEXTS)
def test_the_sample_breaks_no_rule(name: str) -> None:
    assert audit_text(name, TEXTS[name]) == []


ADDED = "[Container]\n"
BROKEN = [
    ("CIS-5.2", ADDED, "AppArmor=unconfined"),
    ("CIS-5.3", ADDED, "SecurityLabelDisable=true"),
    ("CIS-5.3", ADDED, "SecurityLabelType=spc_t"),
    ("CIS-5.4", ADDED, "AddCapability=NET_ADMIN"),
    ("CIS-5.4", "DropCapability=all", "DropCapability=net_raw"),
    ("CIS-5.6", ADDED, "Volume=/etc/ssl:/etc/ssl:ro"),
    ("CIS-5.6", ADDED, "Volume=/:/host"),
    ("CIS-5.6", ADDED, "Volume=%h/data:/data:ro"),
    ("CIS-5.6", ADDED, "Mount=type=bind,source=/usr/../proc,target=/x"),
    ("CIS-5.10", "Network=none", "Network=host"),
    ("CIS-5.11", "MemoryMax=64M", "MemoryMax=infinity"),
    ("CIS-5.11", "MemoryMax=64M", "MemoryMax=1P"),
    ("CIS-5.11", "MemoryMax=64M", "MemoryMax=17G"),
    ("CIS-5.12", "CPUQuota=200%", "CPUQuota="),
    ("CIS-5.12", "CPUQuota=200%", "CPUQuota=1000000%"),
    ("CIS-5.13", "ReadOnly=true", "ReadOnly=no"),
    ("CIS-5.13", "ReadOnlyTmpfs=false", "ReadOnlyTmpfs=yes"),
    ("CIS-5.15", "Restart=always", "Restart=no"),
    ("CIS-5.15", "StartLimitBurst=5", "StartLimitBurst=1000"),
    ("CIS-5.15", "StartLimitBurst=5", "StartLimitBurst=0"),
    ("CIS-5.15", "StartLimitIntervalSec=60", "StartLimitIntervalSec=0"),
    ("CIS-5.15", "RestartSec=1", "RestartSec=12"),
    ("CIS-5.18", ADDED, "AddDevice=/dev/kvm"),
    ("CIS-5.19", ADDED, "Ulimit=nofile=1024:-1"),
    ("CIS-5.19", ADDED, "Ulimit=host"),
    ("CIS-5.19", "TasksMax=64", "TasksMax=64\nLimitCORE=infinity"),
    ("CIS-5.20", ADDED, "Volume=todo-y.volume:/y:ro,rshared"),
    ("CIS-5.22", ADDED, "SeccompProfile=unconfined"),
    ("CIS-5.25", ADDED, "CgroupsMode=no-conmon"),
    ("CIS-5.26", "NoNewPrivileges=true", "NoNewPrivileges=off"),
    ("CIS-5.27", 'HealthCmd=["/probe"]', "HealthCmd=none"),
    ("CIS-5.27", "HealthOnFailure=kill", "HealthOnFailure=none"),
    ("CIS-5.27", ADDED, "HealthInterval=disable"),
    ("CIS-5.27", ADDED, "HealthInterval=1000h"),
    ("CIS-5.27", ADDED, "HealthRetries=1000"),
    ("CIS-5.28", "localhost/todo-x:latest", "docker.io/todo-x:latest"),
    ("CIS-5.28", "Pull=never", "Pull=missing"),
    ("CIS-5.29", "TasksMax=64", "TasksMax=infinity"),
    ("CIS-5.29", "TasksMax=64", "TasksMax=4000000000"),
    ("CIS-5.29", "PidsLimit=0", "PidsLimit=4000000000"),
    ("CIS-5.30", "Network=none", "Network=bridge"),
    ("CIS-5.30", "Network=none", "Network="),
    ("CIS-5.31", ADDED, "UserNS=host"),
    ("CIS-5.32", ADDED, "Volume=/run/docker.sock:/run/docker.sock"),
    ("CIS-5.32", ADDED, "Volume=%t/podman/podman.sock:/podman.sock:ro"),
    ("PSS-NON-ROOT", "User=10001", "User=0"),
    ("PSS-NON-ROOT", "Group=10001", "Group=root"),
    ("PSS-HOST-PATH", ADDED, "Volume=/srv/data:/data:ro"),
    ("PSS-HOST-PATH", ADDED, "Volume=./data:/data:ro"),
    ("PSS-PROC", ADDED, "Unmask=ALL"),
    ("PSS-SYSCTLS", ADDED, "Sysctl=kernel.msgmax=1"),
    ("OWN-NETWORK", "Network=none", "Network=pasta"),
    ("OWN-NETWORK", "Network=none", "Network=container:other"),
    ("OWN-MOUNTS", "/data:ro", "/data"),
    ("OWN-TMPFS", "size=16m,", ""),
    ("OWN-TMPFS", "nosuid,", ""),
    ("OWN-TMPFS", ",noexec", ""),
    ("OWN-TMPFS", "size=16m", "size=0"),
    ("OWN-TMPFS", "size=16m", "size=64m"),
    ("OWN-TMPFS", "size=16m", "size=1t"),
    ("OWN-TMPFS", ADDED, "ShmSize=48m"),
    ("OWN-TMPFS", ADDED, "Mount=type=tmpfs,destination=/run"),
    ("OWN-SWAP", "MemorySwapMax=0", "MemorySwapMax=1M"),
    ("OWN-SWAP", "MemorySwapMax=0", "MemorySwapMax=infinity"),
    ("OWN-CORE", "Ulimit=core=0:0", "Ulimit=core=0:1024"),
    ("OWN-CORE", "Ulimit=core=0:0\n", ""),
    ("OWN-FILES", "nofile=1024:1024", "nofile=1048576"),
    ("OWN-FILES", "Ulimit=nofile=1024:1024\n", ""),
    ("OWN-OOM", "OOMScoreAdjust=500\n", ""),
    ("OWN-MQUEUE", "Mask=/dev/mqueue", "Mask=/dev/other"),
    ("OWN-SECRETS", "TODO_X=1", "TODO_TOKEN_SECRET=hunter2"),
    ("OWN-SECRETS", "TODO_X=1", "TODO_X=postgresql://todo:hunter2@db/todo"),
    ("OWN-SECRETS", ADDED, "EnvironmentFile=/srv/env"),
    ("OWN-SECRETS", ADDED, "EnvironmentHost=true"),
    ("OWN-SECRETS", "type=mount", "type=env"),
    ("OWN-SECRETS", ",mode=0400", ""),
    ("OWN-SECRETS", "mode=0400", "mode=0440"),
    ("OWN-START", "TimeoutStartSec=60", "TimeoutStartSec=infinity"),
    ("OWN-START", "TimeoutStartSec=60", "TimeoutStartSec=2h"),
    ("OWN-ARGS", ADDED, "PodmanArgs=--no-hosts"),
    ("OWN-ARGS", ADDED, "GlobalArgs=--log-level=debug"),
]
BROKEN_OTHERS = [
    ("CIS-5.8", "x.socket", "127.0.0.1:8000", "127.0.0.1:80"),
    ("CIS-5.8", "x.socket", "[::1]:9000", "[::1]:443"),
    ("CIS-5.14", "x.socket", "127.0.0.1:8000", "0.0.0.0:8000"),
    ("CIS-5.14", "x.socket", "127.0.0.1:8000", "8000"),
    ("CIS-5.14", "x.socket", "[::1]:9000", "[::]:9000"),
    ("PSS-NON-ROOT", "x.volume", "User=10001", "User=0"),
    ("PSS-NON-ROOT", "x.volume", "Group=10001\n", ""),
]
# Through PodmanArgs=, which is a finding of its own.
ARGUMENTS = [
    ("CIS-5.2", "--security-opt apparmor=unconfined"),
    ("CIS-5.3", "--security-opt=label:disable"),
    ("CIS-5.4", "--cap-add SYS_ADMIN"),
    ("CIS-5.5", "--privileged"),
    ("CIS-5.6", "-v /etc:/etc"),
    ("CIS-5.10", "--net=host"),
    ("CIS-5.16", "--pid=host"),
    ("CIS-5.17", "--ipc host"),
    ("CIS-5.18", "--init --device /dev/fuse"),
    ("CIS-5.21", "--uts=host"),
    ("CIS-5.22", "--security-opt seccomp=unconfined"),
    ("CIS-5.25", "--cgroupns=host"),
    ("CIS-5.25", "--cgroup-parent=/other.slice"),
    ("CIS-5.31", "--userns=host"),
    ("OWN-SECRETS", "--env TOKEN=x"),
]


@pytest.mark.parametrize(("rule", "old", "new"), BROKEN)
def test_a_container_that_breaks_a_rule_is_told_so(rule: str, old: str, new: str) -> None:
    assert old in CONTAINER
    text = CONTAINER.replace(old, f"{old}{new}\n" if old == ADDED else new)
    found = audit_text("x.container", text)
    assert [each.rule for each in found] == [rule]
    assert found[0].fix


def test_a_switch_with_the_wrong_value_is_named() -> None:
    text = CONTAINER.replace("NoNewPrivileges=true", "NoNewPrivileges=off")
    (found,) = audit_text("x.container", text)
    assert found.message == "NoNewPrivileges=off is not true"
    assert found.fix == "write NoNewPrivileges=true"


@pytest.mark.parametrize(("rule", "name", "old", "new"), BROKEN_OTHERS)
def test_a_socket_or_volume_that_breaks_a_rule_is_told_so(
    rule: str, name: str, old: str, new: str
) -> None:
    assert old in TEXTS[name]
    assert [each.rule for each in audit_text(name, TEXTS[name].replace(old, new))] == [rule]


@pytest.mark.parametrize(("rule", "arguments"), ARGUMENTS)
def test_an_option_of_podmans_own_breaks_the_rule_as_its_key_does(
    rule: str, arguments: str
) -> None:
    found = audit_text("x.container", CONTAINER.replace(ADDED, f"{ADDED}PodmanArgs={arguments}\n"))
    assert {each.rule for each in found} == {rule, "OWN-ARGS"}
    assert {each.line for each in found} == {6}


@pytest.mark.parametrize(
    ("published", "rules"),
    [
        ("127.0.0.1:8000:8000", {"CIS-5.9"}),
        ("[::1]:8000:8000/tcp", {"CIS-5.9"}),
        ("127.0.0.1::8000", {"CIS-5.9"}),
        ("127.0.0.1:80:8000", {"CIS-5.8", "CIS-5.9"}),
        ("8000:80", {"CIS-5.9", "CIS-5.14"}),
        ("0.0.0.0:443-445:8443-8445", {"CIS-5.8", "CIS-5.9", "CIS-5.14"}),
        ("8000", {"CIS-5.9", "CIS-5.14"}),
    ],
)
def test_a_port_that_podman_opens_is_told_with_what_else_is_wrong_with_it(
    published: str, rules: set[str]
) -> None:
    text = CONTAINER.replace(ADDED, f"{ADDED}PublishPort={published}\n")
    assert {each.rule for each in audit_text("x.container", text)} == rules


def test_every_rule_is_broken_by_a_case_of_its_own() -> None:
    broken = {rule for rule, *_ in [*BROKEN, *BROKEN_OTHERS, *ARGUMENTS]} | {"CIS-5.9"}
    assert broken == {rule.id for rule in RULES}
    assert len({rule.id for rule in RULES}) == len(RULES)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (ADDED, "SecurityLabelLevel=s0:c1"),
        (ADDED, "SecurityLabelDisable=false"),
        (ADDED, "Sysctl=net.ipv4.tcp_syncookies=1"),
        (ADDED, "Ulimit=nofile=1024:2048"),
        (ADDED, "Volume=/anonymous"),
        (ADDED, "Volume=todo-y.volume:/y:U"),
        (ADDED, "Mount=type=image,source=localhost/x,destination=/x"),
        (ADDED, "ShmSize=47m"),
        (ADDED, "HealthInterval=10s\nHealthRetries=30"),
        ("MemoryMax=64M", "MemoryMax=16G"),
        ("CPUQuota=200%", "CPUQuota=1600%"),
        ("TasksMax=64", "TasksMax=4096"),
        (ADDED, "CgroupsMode=split"),
        ("Pull=never", f"Image=registry.example/todo-x@sha256:{'0' * 64}"),
        ("TasksMax=64", "\n[Container]\nPidsLimit=64\n[Service]"),
        ("Restart=always", "Type=oneshot"),
        ('HealthCmd=["/probe"]', "\n[Service]\nType=oneshot\n[Container]"),
    ],
)
def test_what_is_as_safe_is_fine(old: str, new: str) -> None:
    assert old in CONTAINER
    text = CONTAINER.replace(old, f"{old}{new}\n" if old == ADDED else new)
    assert audit_text("x.container", text) == []


def test_a_finding_names_rule_file_line_and_what_to_write() -> None:
    text = CONTAINER.replace("MemoryMax=64M", "MemoryMax=infinity")
    assert audit_text("x.container", text) == [
        UnitFinding(
            file="quadlet/x.container",
            line=30,
            rule="CIS-5.11",
            message="MemoryMax=infinity is no limit",
            fix="write MemoryMax=256M",
        )
    ]


def test_a_drop_in_that_takes_a_hardening_line_back_is_named_itself() -> None:
    drop_in = ("quadlet/dropins/x.container.d/1.conf", "[Container]\n\nDropCapability=\n")
    unit = parse_unit("quadlet/x.container", CONTAINER, [drop_in])
    found = audit_rules.audit_variants([parse_unit("quadlet/x.container", CONTAINER)], [unit])
    assert [(each.rule, each.file, each.line) for each in found] == [("CIS-5.4", drop_in[0], 3)]


def test_a_secret_is_not_printed() -> None:
    for text in ("Environment=API_KEY=hunter2", "PodmanArgs=--env API_KEY=hunter2"):
        found = audit_text("x.container", CONTAINER.replace(ADDED, f"{ADDED}{text}\n"))
        assert "OWN-SECRETS" in {each.rule for each in found}
        assert "hunter2" not in str(found)


KEYS = sorted({line.key for unit in load_units(ai=True) for line in unit.assignments})
ANY_LINE = st.builds("{}={}".format, st.sampled_from(KEYS), st.text(max_size=12))


@given(st.sampled_from(sorted(TEXTS)), st.lists(ANY_LINE, max_size=4))
def test_no_unit_makes_the_audit_fail_in_another_way(name: str, lines: list[str]) -> None:
    try:
        audit_text(name, "\n".join([TEXTS[name], *lines]))
    except DeployError as error:
        assert error.code == ExitCode.DATA  # noqa: PT017 - no error at all is fine too
