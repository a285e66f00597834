"""Logging: one JSON object per event on standard output, without secrets."""

import json
import logging
import os
import re
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.orjson import OrjsonFormatter

from todo.observability.trace_context import trace_var

ACCESS_LOGGER = "todo.access"

request_id_var: ContextVar[str] = ContextVar("request_id", default="")

_SECRETS = [
    # A JSON Web Token, or a part of one: if the dots were required, a long text without dots would
    # be scanned again from each `eyJ`.
    (re.compile(r"eyJ[\w-]++(?:\.[\w-]*+){0,2}"), "[redacted]"),
    # The secret of an API token; its ID is not secret.
    (re.compile(r"(todo_[0-9a-f]{32}_)[\w-]+"), r"\1[redacted]"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',;]+"), r"\1 [redacted]"),
    # The password in a URL.
    (re.compile(r"(\w://[^\s/:@]*):[^\s@/]+@"), r"\1:[redacted]@"),
    (
        re.compile(
            r"(?i)\b(password|passwd|pwd|secret|token|api_?key)(\"?'?\s*[=:]\s*[\"']?)[^\s&\"',;]+"
        ),
        r"\1\2[redacted]",
    ),
]
# Attributes that Python sets on every record; all others come from `extra`.
_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


def redact(text: str) -> str:
    """Redact everything that looks like a token or a password."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class EventFormatter(OrjsonFormatter):
    """Formatter of an event as one JSON line: timestamp, level, logger, message, IDs, extra fields.

    Every request writes a line, so its cost matters (docs/adr/0031-keep-python-json-logger.md).
    """

    def __init__(self) -> None:
        super().__init__([])
        self._second = -1
        self._second_text = ""

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Add the fields in reading order, with secrets redacted."""
        # The middleware sets all values of an access event, none of which contains a secret.
        clean = _same if record.name == ACCESS_LOGGER else _clean
        log_data["timestamp"] = self._timestamp(record.created)
        log_data["level"] = record.levelname
        log_data["logger"] = record.name
        log_data["message"] = clean(record.message)
        if request_id := request_id_var.get():
            log_data["request_id"] = request_id
        if trace := trace_var.get():
            log_data["trace_id"] = trace.trace_id
            log_data["span_id"] = trace.span_id
        # A traceback, which is already redacted.
        log_data.update(message_dict)
        for key, value in record.__dict__.items():
            if key not in _OWN:
                log_data[key] = clean(value)

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """Render the line."""
        try:
            return super().jsonify_log_record(log_data)
        except TypeError:
            # orjson rejects unpaired surrogates and integers beyond 64 bits.
            return json.dumps(log_data, default=str)

    def formatException(self, ei: Any) -> str:  # noqa: ANN401, N802 - the signature of logging
        """Render a traceback with secrets redacted."""
        return redact("".join(traceback.format_exception(*ei)).rstrip())

    def _timestamp(self, created: float) -> str:
        second = int(created)
        if second != self._second:
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = second
        return f"{self._second_text}.{int((created - second) * 1_000_000):06d}+00:00"


class LineHandler(logging.Handler):
    """Handler that writes each event immediately, without a buffer and with one system call."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def emit(self, record: logging.LogRecord) -> None:
        """Write one event."""
        try:
            line = f"{self.format(record)}\n".encode()
            while line:
                line = line[os.write(self._descriptor, line) :]
        except Exception:  # noqa: BLE001 - logging must not end the program
            self.handleError(record)


def set_up_logging(level: str) -> None:
    """Send the events of all loggers to standard output as JSON.

    `level` is the minimum severity of this program's events; libraries log from WARNING on.
    """
    # These values are not part of any log line, so they are not collected.
    logging._srcfile = None  # noqa: SLF001 - documented in the logging manual
    logging.logThreads = False
    logging.logProcesses = False
    logging.logMultiprocessing = False
    logging.logAsyncioTasks = False  # type: ignore[attr-defined] # from Python 3.12 on
    handler = LineHandler(sys.stdout.fileno())
    handler.setFormatter(EventFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("todo").setLevel(level)
    # Its warnings contain callers' invalid headers.
    logging.getLogger("opentelemetry.trace").setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)


def _clean(value: object) -> object:
    return redact(value) if isinstance(value, str) else value


def _same(value: object) -> object:
    return value
