"""A service on a large database, whose queries are held to bounds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from tests.integration.bulk_data import BIG, PlanLog
from tests.integration.service import Service
from tests.integration.users import TASKS, read

# A page tries its conditions on at most 2000 rows, some by way of another index for each.
MAX_ROWS = 6000
MAX_PAGES = 10_000


@dataclass
class World:
    """A service on a large database."""

    service: Service
    plans: PlanLog
    analyze: Callable[[str], object]

    def ask(self, method: str, path: str, user: str = BIG, **arguments: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        """Send a request and hold what the database did for it to the bounds."""
        with self.service.client(self.service.token(user)) as client:
            self.plans.read()
            response = client.request(method, path, **arguments)
        self.hold(f"{method} {path}")
        return response

    def hold(self, request: str) -> None:
        """Hold what was logged since the last time to the bounds."""
        found = self.plans.read()
        assert found, "auto_explain logs nothing"
        for plan in found:
            assert not plan.scanned, f"{request}: reads all of {plan}"
            assert plan.rows <= MAX_ROWS, f"{plan.rows} rows: {request}: {plan}"
            assert plan.pages <= MAX_PAGES, f"{plan.pages} pages: {request}: {plan}"

    def get(self, path: str, user: str = BIG, **query: Any) -> dict[str, Any]:  # noqa: ANN401 - httpx's own
        """Read something that there is."""
        return read(self.ask("GET", path, user, params=query))

    def make(self, path: str = TASKS, user: str = BIG, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Create something."""
        return read(self.ask("POST", path, user, json=fields), 201)

    def done(self, method: str, path: str, user: str = BIG, **arguments: Any) -> None:  # noqa: ANN401 - httpx's own
        """Ask for something that succeeds."""
        response = self.ask(method, path, user, **arguments)
        assert response.is_success, response.text
