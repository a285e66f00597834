"""The public application: connects routers, middleware and services."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.routing import Route
from starlette.types import ASGIApp

from todo import __version__
from todo.account.router import router as account_router
from todo.api.body_limits import MCP_PATH
from todo.api.cors import Cors
from todo.api.exception_handlers import add_exception_handlers
from todo.api.lazy_app import LazyApp
from todo.api.middleware import RequestMiddleware
from todo.api.proxy_headers import TrustedProxies
from todo.api.rate_buckets import open_buckets
from todo.api.rate_limit import RateLimit
from todo.api.root_page import NAME
from todo.api.root_page import router as root_router
from todo.api.schemas import Problem
from todo.api.swagger_ui import router as docs_router
from todo.app_state import AppState
from todo.assistant.router import router as assistant_router
from todo.assistant.service import close_assistant
from todo.assistant.turns import ProcessTurns
from todo.auth.api_tokens import ApiTokens
from todo.auth.authenticator import Authenticator
from todo.auth.cutoffs import Cutoffs
from todo.auth.last_use import LastUse
from todo.auth.router import router as tokens_router
from todo.auth.tokens import TokenVerifier
from todo.compat.chat_router import router as chat_router
from todo.compat.router import router as compat_router
from todo.compat.websocket import ChangesWebSocket
from todo.compat.websocket_router import router as live_router
from todo.config.settings import Settings
from todo.db.database import Database
from todo.journal.feed import ChangeFeed
from todo.journal.router import router as journal_router
from todo.journal.sse import Streams
from todo.lists.router import router as lists_router
from todo.observability.health import Health
from todo.observability.metrics import Metrics
from todo.plans.router import router as plans_router
from todo.tags.router import router as tags_router
from todo.tasks.quick_add_router import router as quick_add_router
from todo.tasks.reminders import Reminders
from todo.tasks.router import router as tasks_router
from todo.web.router import router as web_router
from todo.writes.storage_quota import StorageQuota


class HealthStatus(BaseModel):
    """The service is healthy. Otherwise the response is an error with status 503."""

    status: Literal["ok"] = "ok"


_METADATA_PATH = "/.well-known/oauth-protected-resource"
_CHECKS = {
    "livez": ("alive", "Returns 200 while the process runs, regardless of the database."),
    "readyz": (
        "ready",
        "Returns 200 while the database responds and its schema is supported.",
    ),
    "startupz": ("started", "Returns 200 once the service has started."),
}


class Application(FastAPI):
    """FastAPI with a typed state and a completed OpenAPI document."""

    state: AppState  # type: ignore[assignment]

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        if self.openapi_schema is None:
            # Imported on first use, because startup does not need it.
            from todo.api.openapi import complete  # noqa: PLC0415

            self.openapi_schema = complete(super().openapi())
        return self.openapi_schema


def create_app(settings: Settings, tokens: TokenVerifier) -> Application:
    """Build the public application from its settings and the verifier of bearer tokens."""
    database = Database(settings, checks_schema=True)
    health = Health(database)
    metrics = Metrics(database)
    if settings.ai_url is not None:
        metrics.export_assistant()
    if tokens.keys is not None:
        metrics.watch_breaker("key-set", tokens.keys.breaker)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await app.state.turns.close()
        await close_assistant(app.state)
        await health.close()
        await database.dispose()

    app = Application(
        title=NAME,
        version=__version__,
        lifespan=lifespan,
        # FastAPI's pages load their scripts from a CDN; todo.api.swagger_ui serves its own.
        docs_url=None,
        redoc_url=None,
        # `todo.observability` has its own spans, metrics and logs.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        redirect_slashes=False,
        # Generated clients name their functions after the endpoints.
        generate_unique_id_function=lambda route: route.name,
        # Includes the model in the schemas; todo.api.openapi assigns it to status codes.
        responses={"4XX": {"model": Problem}},
    )
    feed, last_use = ChangeFeed(database), LastUse(database)
    app.state = AppState(
        settings=settings,
        database=database,
        health=health,
        metrics=metrics,
        feed=feed,
        streams=Streams(feed, metrics),
        live=ChangesWebSocket(feed, database, metrics),
        reminders=Reminders(database, feed.notify, metrics.count_journal),
        last_use=last_use,
        authenticator=Authenticator(tokens, ApiTokens(database, last_use), Cutoffs(database)),
        storage_quota=StorageQuota(settings.storage_quota_tasks, settings.storage_quota_bytes),
        token_limit=_limit("token", settings.rate_limit_per_minute, metrics, settings),
        turns=ProcessTurns(),
    )
    add_exception_handlers(app)
    # First, because routes are tried in order and health checks are the most frequent requests.
    for path in ("/livez", "/readyz", "/startupz", "/health"):
        _add_check(app, health, path)
    app.include_router(tasks_router)
    app.include_router(quick_add_router)
    app.include_router(lists_router)
    app.include_router(plans_router)
    app.include_router(assistant_router)
    app.include_router(journal_router)
    app.include_router(account_router)
    app.include_router(tags_router)
    app.include_router(tokens_router)
    app.include_router(compat_router)
    app.include_router(chat_router)
    app.include_router(live_router)
    app.include_router(docs_router)
    app.include_router(web_router)
    app.include_router(root_router)
    _add_mcp(app, settings)
    app.add_middleware(
        RequestMiddleware,
        metrics=metrics,
        proxies=TrustedProxies(settings.trusted_proxies, settings.forwarded_header),
        health=health,
        deadline_s=settings.request_deadline_s,
        address_limit=_limit("address", settings.rate_limit_address_per_minute, metrics, settings),
        cors=Cors(settings.cors_origins) if settings.cors_origins else None,
        identify=app.state.authenticator.identify,
    )
    return app


def _add_mcp(app: FastAPI, settings: Settings) -> None:
    # Imported on first use, because only agents need it.
    def open_endpoint() -> ASGIApp:
        from todo.mcp.application import open_endpoint  # noqa: PLC0415

        return open_endpoint(settings, _METADATA_PATH)

    app.router.routes.append(Route(MCP_PATH, LazyApp(MCP_PATH, open_endpoint)))
    login_service = settings.login_service
    if login_service is None:
        return

    def open_metadata() -> ASGIApp:
        from todo.mcp.application import open_metadata  # noqa: PLC0415

        return open_metadata(login_service, _METADATA_PATH)

    for path in (_METADATA_PATH, f"{_METADATA_PATH}{MCP_PATH}"):
        app.router.routes.append(Route(path, LazyApp(path, open_metadata)))


def _limit(
    name: Literal["token", "address"], per_minute: int, metrics: Metrics, settings: Settings
) -> RateLimit | None:
    if not per_minute:
        return None
    refused = partial(metrics.count_limited, name)
    return RateLimit(
        name,
        per_minute,
        refused=refused,
        ipv6_prefix=settings.rate_limit_ipv6_prefix,
        buckets=open_buckets(settings.instance_file, name),
    )


def _add_check(app: FastAPI, health: Health, path: str) -> None:
    # Existing front ends request `/health` to learn whether the service can respond.
    check = path.removeprefix("/").replace("health", "readyz")

    @app.get(
        path,
        tags=["health"],
        name=path.removeprefix("/"),
        summary=f"Health check: {_CHECKS[check][0]}",
        description=f"{_CHECKS[check][1]} No token is required.",
    )
    async def answer() -> HealthStatus:
        problem = await health.find_problem(check)
        if problem is not None:
            raise problem
        return HealthStatus()
