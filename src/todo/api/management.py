"""Management application: metrics and health, without a framework.

It serves the management socket and, without metrics, the probe socket. Probes arrive every few
seconds, so they must be cheap and are neither logged nor counted.
"""

import json

from starlette.types import Receive, Scope, Send

from todo.api.security_headers import add_security
from todo.core.errors import HttpError, NotFoundError, ProblemError
from todo.core.ids import new_uuid7
from todo.core.problem_document import render_problem
from todo.observability.health import CHECKS, Health
from todo.observability.metrics import CONTENT_TYPE, Metrics


class Management:
    """ASGI application for health checks and, optionally, metrics."""

    def __init__(self, health: Health, metrics: Metrics | None) -> None:
        self._health = health
        self._metrics = metrics

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Respond to one request."""
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        try:
            status, content_type, body = 200, *(await self._answer(scope["method"], path))
            headers = [
                (b"content-type", content_type),
                (b"content-length", str(len(body)).encode()),
            ]
        except ProblemError as error:
            status, headers, body = render_problem(error, instance=path, request_id=new_uuid7().hex)
        headers = add_security(headers, secure=False)
        if self._health.stopping:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, method: str, path: str) -> tuple[bytes, bytes]:
        check = path.removeprefix("/")
        has_metrics = check == "metrics" and self._metrics is not None
        if check not in CHECKS and not has_metrics:
            raise NotFoundError
        if method not in {"GET", "HEAD"}:
            raise HttpError(405, "", {"Allow": "GET, HEAD"})
        if self._metrics is not None and has_metrics:
            problem = await self._health.find_problem("readyz")
            if problem is None:
                await self._metrics.backups.refresh()
            return CONTENT_TYPE.encode(), self._metrics.render(
                ready=problem is None, accepting=not self._health.is_leaving
            )
        problem = await self._health.find_problem(check)
        if problem is not None:
            raise problem
        return b"application/json", json.dumps({"status": "ok"}).encode()
