"""docs/http.md names the limits and timeouts of the server as the code has them."""

import re

from deploy.paths import REPO
from todo.api import request_body
from todo.config.settings import Settings
from todo.server import (
    flow_control,
    h11_request,
    http1,
    http1_parser,
    hypercorn,
    hypercorn_protocol,
    listener,
    run,
    send_budget,
    websocket_frames,
)
from todo.server.http1_parser import ServedBy

PAGE = (REPO / "docs/http.md").read_text()
SECTION = PAGE.split("## Limits and timeouts\n")[1].split("\n## ")[0]
ROWS = dict(re.findall(r"^\| (?!limit or |---)(.+?) \| (.+?) \| .+ \|$", SECTION, re.MULTILINE))


def kib(size: int) -> str:
    return f"{size // 1024} KiB"


def mib(size: int) -> str:
    return f"{size // 1024**2} MiB"


def seconds(number: float) -> str:
    return f"{number:g} s"


def test_the_page_has_the_limits_of_the_code() -> None:
    option = {name: field.default for name, field in Settings.model_fields.items()}
    pieces = hypercorn._PIECE_BYTES  # noqa: SLF001 - each limit is private to the module that has it
    assert {
        "request line and header": kib(http1_parser.MAX_HEAD_BYTES),
        "line before a chunk; trailers": kib(h11_request.MAX_LINE_BYTES),
        "time in which a body arrives": seconds(request_body._BODY_TIMEOUT_S),  # noqa: SLF001
        "time until a response starts": seconds(option["request_deadline_s"]),
        "received bytes that are not read yet": kib(flow_control._HIGH_WATER_BYTES),  # noqa: SLF001
        "bytes of responses that clients do not read": mib(send_budget.MAX_UNSENT_BYTES),
        "time in which a client receives nothing of its response": seconds(
            send_budget._STALLED_S  # noqa: SLF001
        ),
        "idle connection": seconds(run._KEEP_ALIVE_S),  # noqa: SLF001
        "discarding behind the last response": (
            f"{seconds(http1._LINGER_S)} of silence, {seconds(http1._MAX_LINGER_S)}, "  # noqa: SLF001
            f"{mib(http1._MAX_DISCARDED_BYTES)}"  # noqa: SLF001
        ),
        "young connections that wait for their first response": str(listener.MAX_UNANSWERED),
        "bytes that Hypercorn handles at a time": (
            f"{kib(pieces[ServedBy.HYPERCORN])} of a body, "
            f"{kib(pieces[ServedBy.HYPERCORN_WEBSOCKET])} of a WebSocket"
        ),
        "frames of a WebSocket": (
            f"{websocket_frames.MAX_FRAMES_AT_ONCE} at once, "
            f"{websocket_frames.FRAMES_PER_S} a second"
        ),
        "message of a WebSocket": kib(hypercorn.CONFIG.websocket_max_message_size),
        "interval of pings on a WebSocket": seconds(hypercorn_protocol._PING_S),  # noqa: SLF001
        "first request of an open connection, at a stop": seconds(listener.FIRST_REQUEST_GRACE_S),
        "request or response without progress, at a stop": seconds(
            listener._STALLED_S  # noqa: SLF001
        ),
        "the whole stop": seconds(option["shutdown_deadline_s"]),
    } == ROWS
    assert listener._UNRECEIVED_MS == send_budget._STALLED_S * 1000  # noqa: SLF001
    assert f"{run._RESERVED_FILES} are left" in PAGE  # noqa: SLF001
