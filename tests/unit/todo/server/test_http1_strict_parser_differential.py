"""The strict parser compared with h11: it parses a head alike, or refuses it for a known cause.

Short in each run; `EXAMPLES=100000` for the long one.
"""

import os
import random
import re

import h11
import pytest

from todo.server.http1_parser import Request, ServedBy, find_request
from todo.server.http1_strict_parser import Refusal, StrictParser

EXAMPLES = int(os.environ.get("EXAMPLES", "2000"))
BLOCK = 20_000
MIGHT_SWITCH = h11._state.MIGHT_SWITCH_PROTOCOL  # noqa: SLF001 - mypy knows of no other name
METHODS = (b"GET", b"POST", b"HEAD", b"OPTIONS") * 8 + (b"BREW", b"get", b"CONNECT", b"G(T", b"")
TARGETS = (b"/", b"/x?y=%20", b"/ws/tasks/x", b"http://a/x", b"http://a", b"http://a?b") * 6 + (
    *(b"*", b"/a#b", b"/\xe9", b"/ ", b"x", b"//x", b"/%", b"https://u@a/", b"http:///", b"a:443"),
)
VERSIONS = (b"HTTP/1.1",) * 30 + (b"HTTP/1.0",) * 4 + (b"HTTP/1.2", b"HTTP/2.0", b"http/1.1")
FIELDS = (
    *((b"Content-Length", b"3"), (b"Content-Length", b"0"), (b"Transfer-Encoding", b"chunked")),
    *((b"Connection", b"close"), (b"Connection", b"keep-alive"), (b"Connection", b"Upgrade")),
    *((b"Upgrade", b"websocket"), (b"Upgrade", b"h2c"), (b"Expect", b"100-continue")),
    *((b"Accept", b"*/*"), (b"X", b""), (b"X", b"\xe9 y"), (b"Host", b"todo")),
)
HANDSHAKE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
NAMES = (
    *(b"Host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Expect", b"Upgrade"),
    *(b"Sec-WebSocket-Key", b"Sec-WebSocket-Version", b"X", b"x-y", b"X y", b"X\t", b"", b"\xe9"),
)
VALUES = (
    *(b"a", b"a b", b"a:80", b"[::1]", b"a@b", b"", b"0", b"3", b"+3", b"3, 3", b"03", b"9" * 18),
    *(b"chunked", b"Chunked", b"gzip, chunked", b"chunked, gzip", b"identity", b"\x0bchunked"),
    *(b"close", b"keep-alive", b"Upgrade", b"keep-alive, close", b",", b"websocket", b"h2c"),
    *(b"100-continue", b"200", b"13", b"8", b"AAAAAAAAAAAAAAAAAAAAAA==", b"\xe9", b"\0", b"a\rb"),
)
ENDS = (b"\r\n",) * 150 + (b"\n", b"\r", b"\r\n ", b"\r\n\t")
NOISE = (b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b"\0", b"\x0b", b"\x7f", b"\xa0", b",", b"0")


def make_head(pick: random.Random) -> bytes:
    """A head that is nearly valid, put together from pieces and then damaged a little."""
    choose = pick.choice
    space = choose((b" ",) * 60 + (b"  ", b"\t"))
    line = space.join([choose(METHODS), choose(TARGETS), choose(VERSIONS)])
    data = choose((b"",) * 30 + (b"\r\n", b"\n", b"\r\n\r\n")) + line + choose(ENDS)
    if pick.random() < 0.95:
        data += b"Host: %b\r\n" % choose((b"todo", b"todo", b"a:80", b"[::1]", choose(VALUES)))
    if pick.random() < 0.1:
        data += HANDSHAKE
    for _ in range(pick.randrange(4)):
        is_likely = pick.random() < 0.8
        name, value = choose(FIELDS) if is_likely else (choose(NAMES), choose(VALUES))
        data += name + choose((b": ",) * 40 + (b":", b":\t", b" : ", b"")) + value + choose(ENDS)
    data += choose((b"\r\n",) * 10 + (b"\n", b""))
    if pick.random() < 0.15:
        place = pick.randrange(len(data) + 1)
        data = data[:place] + choose(NOISE) + data[place + pick.randrange(2) :]
    return data


def read_with_h11(data: bytes) -> tuple[h11.Connection, h11.Request | None]:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return connection, None
    return connection, event if isinstance(event, h11.Request) else None


def is_host(host: bytes) -> bool:
    """Return whether this is a host with an optional port, found without a pattern."""
    name, _, port = host.partition(b":")
    allowed = b"!$%&'()*+,;=-._~0123456789abcdefghijklmnopqrstuvwxyz"
    if host.startswith(b"["):
        name, bracket, rest = host[1:].partition(b"]")
        port = rest[1:]
        allowed = b":.0123456789abcdef"
        if not bracket or not name or rest[:1] not in {b"", b":"}:
            return False
    return set(name.lower()) <= set(allowed) and (not port or port.isdigit())


def find_causes(data: bytes, theirs: h11.Request) -> list[str]:
    """Why the own parser refuses what h11 accepts, found in another way than it does."""
    of = dict(theirs.headers)
    names = [name for name, _ in theirs.headers]
    head = data.partition(b"\r\n\r\n")[0]
    host, expectation = of.get(b"host", b""), of.get(b"expect", b"").lower()
    lengths = re.findall(rb"content-length[ \t]*:([^\r\n]*)", data, re.IGNORECASE)
    causes = {
        "bare LF": re.search(rb"(?<!\r)\n", data) is not None,
        "folded line": re.search(rb"\n[ \t]", data) is not None,
        "control character": re.search(rb"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]", head) is not None,
        "version": theirs.http_version not in {b"1.0", b"1.1"},
        "method": theirs.method
        not in b"GET HEAD POST PUT PATCH DELETE OPTIONS TRACE QUERY".split(),
        "target": theirs.target[:1] != b"/" or b"#" in theirs.target,
        "host": not is_host(host),
        "both lengths": {b"content-length", b"transfer-encoding"} <= set(names),
        "length": len(lengths) > 1 or any(b"," in each or len(each) > 15 for each in lengths),
        "chunks in HTTP/1.0": theirs.http_version == b"1.0" and b"transfer-encoding" in names,
        "expectation": expectation not in {b"", b"100-continue"} or names.count(b"expect") > 1,
        "handshake": theirs.target.startswith(b"/ws/") and b"upgrade" in names,
    }
    return [cause for cause, holds in causes.items() if holds]


def check_framing(connection: h11.Connection, ours: Request) -> None:
    """Let h11 read the body and decide whether the connection stays."""
    is_chunked = any(name == b"transfer-encoding" for name, _ in ours.headers)
    connection.receive_data(b"3\r\nabc\r\n0\r\n\r\n" if is_chunked else b"x" * ours.content_length)
    events = [connection.next_event()]
    while not isinstance(events[-1], h11.EndOfMessage):
        events.append(connection.next_event())
    size = sum(len(event.data) for event in events if isinstance(event, h11.Data))
    assert size == (3 if is_chunked else ours.content_length)
    assert connection.trailing_data[0] == b""
    if ours.served_by is ServedBy.FAST_PATH:
        end = h11.MUST_CLOSE if ours.closes else h11.DONE
        assert connection.their_state in {end, MIGHT_SWITCH}
    elif ours.served_by is ServedBy.HYPERCORN_WEBSOCKET:
        assert connection.their_state is MIGHT_SWITCH


@pytest.mark.longer(EXAMPLES / 100)
@pytest.mark.parametrize("first", range(0, EXAMPLES, BLOCK))
def test_a_head_is_read_as_h11_reads_it_or_refused_for_a_cause(first: int) -> None:
    for seed in range(first, min(first + BLOCK, EXAMPLES)):
        pick = random.Random(seed)  # noqa: S311 - no secret
        data = make_head(pick)
        cut = pick.randrange(1, len(data) + 1)
        try:
            check(data, cut)
        except AssertionError as error:
            raise AssertionError(f"{data!r}, cut at {cut}") from error


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
        b"\r\nET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_a_head_is_read_alike_wherever_it_is_cut(data: bytes) -> None:
    for cut in range(1, len(data)):
        check(data, cut)


def check(data: bytes, cut: int) -> None:
    """Compare both readers; the head comes whole, and in two parts."""
    ours = StrictParser().feed(data)
    fast = find_request(data)
    if fast is not None:
        assert fast == ours
    gate = StrictParser()
    in_parts = gate.feed(data[:cut]) or gate.feed(data[cut:])
    assert getattr(in_parts, "status", in_parts) == getattr(ours, "status", ours)

    start = 2 if data.startswith(b"\r\n") else 0
    # What is behind a request is not compared.
    end = ours.head_size if isinstance(ours, Request) else len(data)
    connection, theirs = read_with_h11(data[start:end])
    if not isinstance(ours, Request):
        assert theirs is None or (isinstance(ours, Refusal) and find_causes(data, theirs))
        return
    assert theirs is not None
    assert (ours.method.encode(), ours.http_version) == (theirs.method, theirs.http_version)
    if theirs.target.startswith((b"http:", b"https:")):
        assert theirs.target.partition(b"://")[2].startswith(dict(ours.headers)[b"host"])
        # RFC 9112, 3.2.4: without a path, OPTIONS asks about the whole server.
        path = b"" if ours.target == b"*" else ours.target.removeprefix(b"/")
        assert theirs.target.endswith(path)
    else:
        assert ours.target == theirs.target
        coding = b"transfer-encoding"
        headers = [
            (name, value.lower() if name == coding else value) for name, value in ours.headers
        ]
        assert headers == list(theirs.headers)
    check_framing(connection, ours)
