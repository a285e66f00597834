"""The connections that the roles of the shipped database may have."""

import re

from deploy.paths import REPO


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
