"""Operator command that migrates the schema."""

from collections.abc import Callable

from todo.config.settings import Settings
from todo.db.migrate import migrate_patiently
from todo.db.tables import CONTRACTS, EXPECTED_REVISION


def run_migrate(
    settings: Settings, wait_s: float, say: Callable[[str], None], *, contracts: bool
) -> None:
    """Migrate the schema, including the contracts if `contracts` is set, and report the result.

    `wait_s` is the maximum wait for the database in seconds; `say` receives lines for the operator.

    Raises:
        FatalError: The migration failed (see `migrate_patiently`).
    """
    target = (EXPECTED_REVISION, *CONTRACTS)[-1] if contracts else EXPECTED_REVISION
    found = migrate_patiently(settings, wait_s, say, contracts=contracts)
    if found == target:
        say(f"the schema is already at revision {target}")
    elif found > target:
        say(f"the schema is at revision {found}, which this program supports")
    else:
        say(f"migrated the schema from {found or 'nothing'} to revision {target}")
