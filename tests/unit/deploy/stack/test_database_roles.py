"""The connections that the roles of the shipped database may have."""

import re
from pathlib import Path

from deploy.paths import REPO
from todo.observability import backup_metrics


def test_each_role_gets_the_connections_that_it_is_promised() -> None:
    folder = REPO / "containers" / "db"
    settings = (folder / "postgresql.conf").read_text()
    allowed, reserved = (
        int(re.findall(rf"(?m)^{name} = (\d+)$", settings)[0])
        for name in ("max_connections", "superuser_reserved_connections")
    )
    roles = re.findall(
        r"(?m)^ALTER ROLE \$(\w+).* CONNECTION LIMIT (\d+)$", (folder / "entrypoint.sh").read_text()
    )
    assert {name for name, _ in roles} == {"DB_ROLE", "DB_OWNER_ROLE", "DB_BACKUP_ROLE"}
    assert sum(int(limit) for _, limit in roles) <= allowed - reserved


def test_the_backup_role_may_leave_each_outcome_that_the_metrics_read() -> None:
    text = (REPO / "containers" / "db" / "entrypoint.sh").read_text()
    (granted,) = re.findall(r"GRANT SET ON PARAMETER (.*) TO \$DB_BACKUP_ROLE", text)
    source = Path(backup_metrics.__file__).read_text()
    read = set(re.findall(r"name = '(todo\.\w+)'", source))
    # Updates are not by that role.
    assert set(granted.split(", ")) == read - {"todo.update"}
    assert len(read) == 5
