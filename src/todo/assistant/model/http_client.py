"""Client of a model server: Chat Completions over httpx, on TCP or a Unix socket.

Each request uses its own connection: canceling a turn closes it, and no request reuses a connection
that the server has closed. Redirects are not followed and no proxy is used, because the messages
contain user data.
"""

import asyncio
import logging
import ssl
import time

import httpx

from todo.assistant.model.client import (
    Mode,
    ModelAnswer,
    ModelError,
    ModelRequest,
    OnText,
    TokenCount,
)
from todo.assistant.model.clock import AnswerClock, Silence
from todo.assistant.model.dialect import Dialect
from todo.assistant.model.exchange import BadRequestError, exchange
from todo.assistant.model.key import read_model_key
from todo.assistant.model.probe import calls_tools
from todo.assistant.model.request_queue import RequestQueue
from todo.config.settings import Settings
from todo.core.circuit_breaker import AsyncBreaker, BreakerOpenError, Outcome
from todo.observability.assistant_metrics import AssistantMetrics

_BREAKER_FAILURES = 3
_BREAKER_RESET_S = 30.0

_log = logging.getLogger("todo.assistant")


class HttpModelClient:
    """Client of one model server, which connects on the first request."""

    def __init__(self, settings: Settings, metrics: AssistantMetrics) -> None:
        address = settings.ai_url or ""
        socket = address.removeprefix("unix:") if address.startswith("unix:") else None
        self._url = f"{'http://localhost/v1' if socket else address}/chat/completions"
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                verify=_open_trust(secure=address.startswith("https:")),
                trust_env=False,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
                uds=socket,
            ),
            headers=_render_headers(read_model_key(settings)),
            timeout=httpx.Timeout(None, connect=settings.ai_connect_timeout_s),
            follow_redirects=False,
            trust_env=False,
        )
        self._model = settings.ai_model
        self._run_timeout_s = settings.ai_run_timeout_s
        self._token_timeout_s = settings.ai_first_token_timeout_s
        self._metrics = metrics
        self._queue = RequestQueue(settings.ai_parallel_requests, metrics)
        self._dialect = Dialect()
        self._silence = Silence()
        self._mode: Mode | None = None if settings.ai_mode == "auto" else settings.ai_mode
        self._probing = asyncio.Lock()
        self._pause: ModelError | None = None
        self._paused_until_s = 0.0
        self.breaker = AsyncBreaker(
            failures=_BREAKER_FAILURES, reset_s=_BREAKER_RESET_S, classify=_classify
        )

    async def get_mode(self, *, timeout_s: float | None = None) -> Mode:
        """Return the mode of requests; see `ModelClient`."""
        if self._mode is not None:
            return self._mode
        # One probe at a time; concurrent callers use its result.
        try:
            async with asyncio.timeout(timeout_s):
                await self._probing.acquire()
        except TimeoutError:
            message = "another turn tests the model server"
            raise ModelError("timeout", message, of_server=False) from None
        try:
            if self._mode is None:
                found = await calls_tools(self, timeout_s)
                self._mode = "tools" if found else "json_schema"
                _log.info("the model is asked with %s", self._mode)
            return self._mode
        finally:
            self._probing.release()

    async def ask(
        self,
        request: ModelRequest,
        on_text: OnText | None = None,
        *,
        timeout_s: float | None = None,
        used: TokenCount | None = None,
    ) -> ModelAnswer:
        """Send a request to the model; see `ModelClient`."""
        whole_s = self._run_timeout_s if timeout_s is None else min(timeout_s, self._run_timeout_s)
        ends_at = asyncio.get_running_loop().time() + whole_s
        used = TokenCount() if used is None else used
        outcome = "canceled"
        try:
            with self._metrics.asking():
                answer = await self._ask(request, on_text, ends_at, used)
            outcome = "answered"
        except ModelError as error:
            outcome = error.reason
            raise
        finally:
            self._metrics.count_request(outcome)
            self._metrics.count_tokens(used.prompt, used.output)
        return answer

    async def _ask(
        self, request: ModelRequest, on_text: OnText | None, ends_at: float, used: TokenCount
    ) -> ModelAnswer:
        self._raise_pause()
        try:
            # Checked before queueing, so that requests do not wait for the breaker's trial request.
            self.breaker.check()
            async with self._queue.admitting(ends_at):
                self._raise_pause()
                with self.breaker.calling():
                    left_s = ends_at - asyncio.get_running_loop().time()
                    clock = AnswerClock(left_s, self._token_timeout_s)
                    return await self._exchange(request, on_text, clock, used)
        except BreakerOpenError as error:
            wait_s = error.retry_after_s
            raise ModelError("breaker-open", retry_after_s=wait_s) from None
        except ModelError as error:
            _log.warning("model server: %s: %s", error.reason, error)
            if error.retry_after_s:
                self._pause = error
                self._paused_until_s = time.monotonic() + error.retry_after_s
            raise

    async def _exchange(
        self, request: ModelRequest, on_text: OnText | None, clock: AnswerClock, used: TokenCount
    ) -> ModelAnswer:
        dialect = self._dialect
        try:
            while True:
                body = dialect.render(self._model, request)
                try:
                    with self._silence.waiting():
                        answer = await exchange(self._http, self._url, body, clock, on_text, used)
                except BadRequestError as error:
                    adapted = dialect.adapt(error.response)
                    if adapted is None:
                        raise
                    dialect = adapted
                else:
                    self._dialect = dialect
                    self._silence.end()
                    return answer
        except ModelError as error:
            self._blame(error, clock)
            raise
        finally:
            self._metrics.observe_request(clock.elapsed_s, clock.first_token_s)

    def _blame(self, error: ModelError, clock: AnswerClock) -> None:
        """Blame the server for a timeout if it has been silent for the token timeout."""
        if error.reason != "timeout" or clock.first_token_s is not None:
            self._silence.end()
        elif self._silence.length_s >= self._token_timeout_s:
            error.of_server = True

    def _raise_pause(self) -> None:
        """Raise the server's last error again until its Retry-After has passed."""
        left_s = self._paused_until_s - time.monotonic()
        if self._pause is not None and left_s > 0:
            raise ModelError(self._pause.reason, "not asked yet", retry_after_s=left_s)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()


def _classify(error: BaseException) -> Outcome:
    """Return the outcome that the circuit breaker counts for an error."""
    if not isinstance(error, ModelError) or not error.of_server:
        return Outcome.IGNORED
    if error.reason in {"refused", "rate-limited"}:
        return Outcome.IGNORED
    return Outcome.FAILURE


def _open_trust(*, secure: bool) -> ssl.SSLContext:
    if not secure:
        # Plain HTTP does not use the context, which trusts no certificates.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # This loads the certificate authorities of the system; SSL_CERT_FILE overrides them.
    return ssl.create_default_context()


def _render_headers(key: str | None) -> dict[str, str]:
    headers = {
        "Accept": "text/event-stream, application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "User-Agent": "todo-backend",
    }
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    return headers
