"""State of the application: services of the process, shared by endpoints and the server."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from todo.api.rate_limit import RateLimit
    from todo.assistant.turn.runner import Assistant
    from todo.assistant.turns import ProcessTurns
    from todo.auth.authenticator import Authenticator
    from todo.auth.last_use import LastUse
    from todo.compat.websocket import ChangesWebSocket
    from todo.config.settings import Settings
    from todo.db.database import Database
    from todo.journal.feed import ChangeFeed
    from todo.journal.sse import Streams
    from todo.observability.health import Health
    from todo.observability.metrics import Metrics
    from todo.tasks.reminders import Reminders
    from todo.writes.storage_quota import StorageQuota


@dataclass(slots=True, kw_only=True)
class AppState:
    """State of the application in `app.state`; `assistant` is created on first use."""

    settings: "Settings"
    database: "Database"
    health: "Health"
    metrics: "Metrics"
    feed: "ChangeFeed"
    streams: "Streams"
    live: "ChangesWebSocket"
    reminders: "Reminders"
    last_use: "LastUse"
    authenticator: "Authenticator"
    storage_quota: "StorageQuota"
    token_limit: "RateLimit | None"
    turns: "ProcessTurns"
    assistant: "Assistant | None" = None


def get_state(connection: "HTTPConnection") -> AppState:
    """Return the state of the application that serves a request or a WebSocket."""
    state: AppState = connection.scope["app"].state
    return state
