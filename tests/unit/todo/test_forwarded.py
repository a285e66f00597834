import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo.forwarded import Caller, TrustedProxies

PROXIES = ["10.0.0.0/8", "fd00::/8", "unix"]
DIRECT = Caller("10.0.0.1", "http")


def resolve(headers: dict[str, str], peer: str = "10.0.0.1") -> Caller:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return TrustedProxies(PROXIES).resolve(peer, "http", raw)


@pytest.mark.parametrize("peer", ["192.0.2.9", "2001:db8::1"])
def test_a_stranger_is_not_believed(peer: str) -> None:
    headers = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https"}

    assert resolve(headers, peer) == Caller(peer, "http")


@pytest.mark.parametrize("peer", ["10.0.0.1", "::ffff:10.0.0.1", "fd00::5", "unix"])
def test_a_trusted_proxy_is_believed(peer: str) -> None:
    headers = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https"}

    assert resolve(headers, peer) == Caller("1.2.3.4", "https")


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"X-Forwarded-For": "6.6.6.6, 1.2.3.4"}, "1.2.3.4"),
        ({"X-Forwarded-For": "6.6.6.6, 1.2.3.4, 10.0.0.7"}, "1.2.3.4"),
        ({"X-Forwarded-For": "10.0.0.7"}, "10.0.0.7"),
        ({"X-Forwarded-For": "1.2.3.4:5678"}, "1.2.3.4"),
        ({"X-Forwarded-For": "[2001:db8::1]:80"}, "2001:db8::1"),
        ({"X-Forwarded-For": "nonsense, 10.0.0.7"}, "10.0.0.7"),
        ({"Forwarded": "for=6.6.6.6, for=1.2.3.4;proto=https"}, "1.2.3.4"),
        ({"Forwarded": 'For="[2001:db8::1]:4711"'}, "2001:db8::1"),
        ({"Forwarded": "for=_hidden"}, "10.0.0.1"),
        ({"Forwarded": "for=1.2.3.4", "X-Forwarded-For": "1.2.3.4"}, "1.2.3.4"),
        ({"Forwarded": "for=6.6.6.6", "X-Forwarded-For": "1.2.3.4"}, "10.0.0.1"),
    ],
)
def test_the_caller_is_the_last_hop_that_no_proxy_vouches_for(
    headers: dict[str, str], address: str
) -> None:
    assert resolve(headers).address == address


def test_a_contested_scheme_is_not_believed() -> None:
    headers = {"Forwarded": "for=1.2.3.4;proto=http", "X-Forwarded-Proto": "https"}

    assert resolve(headers).scheme == "http"


@given(st.text(st.characters(codec="latin-1")), st.text(st.characters(codec="latin-1")))
def test_no_header_can_break_it(one: str, other: str) -> None:
    caller = resolve({"Forwarded": one, "X-Forwarded-For": other, "X-Forwarded-Proto": one})

    assert caller.scheme in {"http", "https"}
    assert caller.address


def test_nobody_is_trusted_by_default() -> None:
    headers = [(b"x-forwarded-for", b"1.2.3.4")]

    assert TrustedProxies([]).resolve("10.0.0.1", "http", headers) == DIRECT
    assert TrustedProxies([]).resolve("unix", "http", headers) == Caller("unix", "http")
