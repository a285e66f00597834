"""Logging: one JSON line an event on standard output, without secrets."""

import logging
import re
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter

request_id_var: ContextVar[str] = ContextVar("request_id", default="")

_SECRETS = [
    # A JSON Web Token, wherever it appears.
    (re.compile(r"eyJ[\w-]+\.[\w-]*\.?[\w-]*"), "[redacted]"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',;]+"), r"\1 [redacted]"),
    # The password of an address.
    (re.compile(r"(\w://[^\s/:@]*):[^\s@/]+@"), r"\1:[redacted]@"),
    (
        re.compile(
            r"(?i)\b(password|passwd|pwd|secret|token|api_?key)(\"?'?\s*[=:]\s*[\"']?)[^\s&\"',;]+"
        ),
        r"\1\2[redacted]",
    ),
]


def redact(text: str) -> str:
    """Replace whatever looks like a token or a password."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class EventFormatter(JsonFormatter):
    """One line of JSON: timestamp, level, logger, message, request_id, then extra fields."""

    def __init__(self) -> None:
        super().__init__([])

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Add the fields in reading order, redacted."""
        log_data["timestamp"] = datetime.fromtimestamp(record.created, UTC).isoformat()
        log_data["level"] = record.levelname
        log_data["logger"] = record.name
        log_data["message"] = redact(record.message)
        if request_id := request_id_var.get():
            log_data["request_id"] = request_id
        super().add_fields(log_data, record, message_dict)

    def formatException(self, ei: Any) -> str:  # noqa: ANN401, N802 - the signature of logging
        """Render a traceback, redacted."""
        return redact("".join(traceback.format_exception(*ei)).rstrip())


def set_up_logging(level: str) -> None:
    """Send every logger of the process through the one formatter.

    Args:
        level: Least severity of this program's events; libraries are heard from WARNING up.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(EventFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("todo").setLevel(level)
    logging.captureWarnings(capture=True)
