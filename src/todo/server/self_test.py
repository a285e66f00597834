"""Self-test: creates and reads a task in a transaction that is rolled back."""

from datetime import UTC, datetime

from todo.core.caller import Caller
from todo.core.errors import DatabaseFullError, DatabaseReadOnlyError
from todo.db.database import Database
from todo.tasks.service import TaskService
from todo.writes.unit_of_work import UnitOfWork

# No token can have this user, because user names in tokens have no spaces at their ends.
_CALLER = Caller(" self-test ")


async def run_self_test(database: Database) -> None:
    """Create and read a task in a transaction that is rolled back.

    Raises:
        ProblemError: This version does not work with the database.
    """
    try:
        async with database.unit_of_work() as session:
            service = TaskService(UnitOfWork(session, _CALLER, datetime.now(UTC)))
            await service.create({"title": "self-test"})
    except (DatabaseReadOnlyError, DatabaseFullError):
        # The service can still serve reads.
        return
