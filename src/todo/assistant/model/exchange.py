"""One HTTP request to a model server and its response, over httpx."""

import contextlib
import email.utils
import re
import ssl
import time
from collections.abc import Iterator

import httpx

from todo.assistant.model.client import ModelAnswer, ModelError, OnText, TokenCount
from todo.assistant.model.clock import AnswerClock
from todo.assistant.model.reading import reading_answer
from todo.assistant.model.stream import (
    DONE,
    MAX_ANSWER_BYTES,
    AnswerBuilder,
    EventLines,
    estimate_tokens,
)

_MAX_ERROR_BYTES = 64 * 1024
# Default and maximum of the server's Retry-After, which may be missing or wrong.
_RETRY_AFTER_S = 1.0
_MAX_RETRY_AFTER_S = 300.0
_ERROR_CODE = re.compile(rb'"(?:code|type)"\s*:\s*"([a-z_]{1,40})"')


class BadRequestError(ModelError):
    """The server rejects a request parameter, which the response may name."""

    def __init__(self, error: ModelError, response: bytes) -> None:
        super().__init__(error.reason, str(error), status=error.status)
        self.response = response


async def exchange(
    http: httpx.AsyncClient,
    url: str,
    body: bytes,
    clock: AnswerClock,
    on_text: OnText | None,
    used: TokenCount,
) -> ModelAnswer:
    """Send a request and return the answer; `used` receives the token usage even on failure.

    Raises:
        ModelError: The model returned no usable answer.
    """
    # The server may have processed the prompt even if no answer arrives.
    used.prompt, used.output = estimate_tokens(len(body)), 0
    try:
        return await _exchange(http, url, body, clock, on_text, used)
    except ModelError as error:
        if error.reason == "unreachable" or error.status is not None:
            used.prompt = 0
        raise


async def _exchange(
    http: httpx.AsyncClient,
    url: str,
    body: bytes,
    clock: AnswerClock,
    on_text: OnText | None,
    used: TokenCount,
) -> ModelAnswer:
    with _translating():
        async with clock.limiting(), http.stream("POST", url, content=body) as response:
            if response.status_code != httpx.codes.OK:
                raise find_refusal(response, await _read(response, _MAX_ERROR_BYTES))
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ModelError("invalid", "the response has an encoding that was not requested")
            kind = response.headers.get("content-type", "")
            if "html" in kind:
                raise ModelError("invalid", "the response is HTML, not an answer")
            receiver = _Receiver(len(body), clock, on_text)
            try:
                return await receiver.receive(response, kind)
            finally:
                counted = receiver.count()
                used.prompt, used.output = counted.prompt, counted.output


class _Receiver:
    def __init__(self, request_bytes: int, clock: AnswerClock, on_text: OnText | None) -> None:
        self._builder = AnswerBuilder(request_bytes)
        self._clock = clock
        self._on_text = on_text

    def count(self) -> TokenCount:
        with reading_answer():
            return self._builder.count()

    async def receive(self, response: httpx.Response, kind: str) -> ModelAnswer:
        if "json" in kind:
            body = await _read(response, MAX_ANSWER_BYTES)
            if len(body) > MAX_ANSWER_BYTES:
                raise ModelError("invalid", "the answer is too long")
            await self._add(body)
            return self._finish()
        lines = EventLines()
        async for piece in response.aiter_raw():
            for data in lines.feed(piece):
                if data == DONE:
                    return self._finish()
                await self._add(data)
        for data in lines.end():
            if data != DONE:
                await self._add(data)
        if not self._builder.finish_reason:
            if not self._builder.has_chunks:
                raise ModelError("invalid", "the response has no event")
            raise ModelError("interrupted", "the answer has no end")
        return self._finish()

    def _finish(self) -> ModelAnswer:
        with reading_answer():
            return self._builder.finish()

    async def _add(self, data: bytes) -> None:
        with reading_answer():
            text, is_token = self._builder.add(data)
        if is_token:
            self._clock.note_token()
        if text and self._on_text is not None:
            with self._clock.with_caller():
                await self._on_text(text)


async def _read(response: httpx.Response, limit: int) -> bytes:
    """Return the body; stop reading as soon as it exceeds the limit."""
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > limit:
            break
    return bytes(body)


def find_refusal(response: httpx.Response, body: bytes) -> ModelError:
    """Return the error for a response whose status code is not 200."""
    status = response.status_code
    found = _ERROR_CODE.search(body)
    detail = f" ({found[1].decode()})" if found else ""
    message = f"the server answers {status}{detail}"
    retry_after_s = find_retry_after(response.headers.get("retry-after"))
    if status == httpx.codes.TOO_MANY_REQUESTS:
        wait_s = _RETRY_AFTER_S if retry_after_s is None else retry_after_s
        return ModelError("rate-limited", message, retry_after_s=wait_s, status=status)
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.REQUEST_TIMEOUT:
        return ModelError("server-error", message, retry_after_s=retry_after_s, status=status)
    error = ModelError("refused", message, status=status)
    if status in {httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY}:
        return BadRequestError(error, body)
    return error


def find_retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header, or None if it is missing or invalid."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        seconds = float(value[:9])
    else:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_S)


@contextlib.contextmanager
def _translating() -> Iterator[None]:
    """Convert connection failures to ModelError."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise ModelError("unreachable", f"cannot connect: {error or 'timeout'}") from None
    except (httpx.InvalidURL, UnicodeError):
        raise ModelError("unreachable", "TODO_AI_URL is not a valid address") from None
    except httpx.RemoteProtocolError as error:
        # httpx raises the same class for a closed connection and for a response that is not HTTP.
        if "without sending" in str(error):
            raise ModelError("interrupted", "the server has closed the connection") from None
        raise ModelError("invalid", "the response is not HTTP") from None
    except (httpx.TransportError, ssl.SSLError) as error:
        raise ModelError("interrupted", f"the connection failed: {type(error).__name__}") from None
