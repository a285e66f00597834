import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo.api.proxy_headers import Client, TrustedProxies
from todo.api.rate_limit import find_address_key
from todo.config.addresses import ForwardedHeader

PROXIES = ["10.0.0.0/8", "127.0.0.1", "fd00::/8", "unix"]
X_FORWARDED_FOR: ForwardedHeader = "x-forwarded-for"
FORWARDED: ForwardedHeader = "forwarded"


def resolve(
    headers: dict[str, str],
    peer: str = "10.0.0.1",
    header: ForwardedHeader = X_FORWARDED_FOR,
) -> Client:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return TrustedProxies(PROXIES, header).resolve(peer, "http", raw)


@pytest.mark.parametrize("peer", ["192.0.2.9", "2001:db8::1"])
def test_a_stranger_is_not_believed(peer: str) -> None:
    headers = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https"}

    assert resolve(headers, peer) == Client(peer, "http")


@pytest.mark.parametrize("peer", ["10.0.0.1", "::ffff:10.0.0.1", "fd00::5", "unix"])
def test_a_trusted_proxy_is_believed(peer: str) -> None:
    headers = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https"}

    assert resolve(headers, peer) == Client("1.2.3.4", "https", is_proxied=True)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4, 10.0.0.7", "1.2.3.4"),
        ("nonsense, 1.2.3.4", "1.2.3.4"),
        ("10.0.0.7", "10.0.0.7"),
        ("1.2.3.4:5678", "1.2.3.4"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_the_caller_is_the_last_hop_that_no_proxy_vouches_for(text: str, address: str) -> None:
    assert resolve({"X-Forwarded-For": text}) == Client(address, "http", is_proxied=True)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("for=6.6.6.6, for=1.2.3.4;proto=https", "1.2.3.4"),
        ("for=6.6.6.6,for=1.2.3.4 ; proto=https", "1.2.3.4"),
        ('For="[2001:db8::1]:4711";PROTO=https', "2001:db8::1"),
        ("for=[2001:db8::1]:4711;proto=https", "2001:db8::1"),
        ('for="1.2.3.4:_x";proto="https"', "1.2.3.4"),
        ('for=1.2.3.4;proto=https;host="a, for=6.6.6.6"', "1.2.3.4"),
        (r'for=1.2.3.4;host="a\", for=6.6.6.6;x=";proto=https', "1.2.3.4"),
        (r'for="1.2\.3.4";proto=https', "1.2.3.4"),
        ("for=unknown, for=1.2.3.4;proto=https, for=10.0.0.7;proto=https", "1.2.3.4"),
    ],
)
def test_forwarded_is_read_as_rfc_7239_has_it(text: str, address: str) -> None:
    found = resolve({"Forwarded": text}, header=FORWARDED)

    assert found == Client(address, "https", is_proxied=True)


@pytest.mark.parametrize(
    "ignored",
    [
        "",
        "for=",
        "for=6.6.6.6",
        "for=127.0.0.1;proto=https",
        'for="',
        "nonsense",
        ",",
        "for=1.2.3.4",
    ],
)
def test_forwarded_is_ignored_where_the_proxy_writes_the_other(ignored: str) -> None:
    headers = {"Forwarded": ignored, "X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https"}

    assert resolve(headers) == Client("1.2.3.4", "https", is_proxied=True)


@pytest.mark.parametrize("ignored", ["", "6.6.6.6", "127.0.0.1", "nonsense", "::1, unknown"])
def test_x_forwarded_for_is_ignored_where_the_proxy_writes_forwarded(ignored: str) -> None:
    headers = {
        "X-Forwarded-For": ignored,
        "X-Forwarded-Proto": "https",
        "Forwarded": "for=1.2.3.4;proto=http",
    }

    assert resolve(headers, header=FORWARDED) == Client("1.2.3.4", "http", is_proxied=True)


def test_nothing_is_read_where_the_proxy_writes_nothing() -> None:
    headers = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "https",
        "Forwarded": "for=6.6.6.6",
    }

    found = resolve(headers, header="none")

    assert found == Client("10.0.0.1", "http", is_proxied=True, doubtful="")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", "10.0.0.1"),
        (",", "10.0.0.1"),
        ("unknown", "10.0.0.1"),
        ("1.2.3.4, ", "10.0.0.1"),
        ("1.2.3.4, _hidden", "10.0.0.1"),
        ("1.2.3.4, 10.0.0", "10.0.0.1"),
        ("1.2.3.4:port", "10.0.0.1"),
        ("[1.2.3.4", "10.0.0.1"),
        ("[2001:db8::1]x", "10.0.0.1"),
        ("\xb2.2.3.4", "10.0.0.1"),
        ("1.2.3.4 6.6.6.6", "10.0.0.1"),
        ("nonsense, 10.0.0.7", "10.0.0.7"),
    ],
)
def test_a_doubtful_caller_has_the_address_of_the_last_known_hop(text: str, address: str) -> None:
    found = resolve({"X-Forwarded-For": text})

    assert found == Client(address, "http", is_proxied=True, doubtful=text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "for=_hidden",
        "for=unknown",
        "proto=https",
        "for=1.2.3.4, proto=http",
        "for=1.2.3.4;for=6.6.6.6",
        'for="1.2.3.4',
        'for=", for=1.2.3.4',
        "for=1.2.3.4 for=6.6.6.6",
        "for=1.2.3.4, =6.6.6.6",
        'for="1.2.3.4"x',
        'for="1.2.3.4\\',
    ],
)
def test_a_forwarded_header_that_names_nobody_is_doubtful(text: str) -> None:
    found = resolve({"Forwarded": text}, header=FORWARDED)

    assert (found.address, found.is_proxied) == ("10.0.0.1", True)
    assert found.doubtful == text


def test_a_line_that_the_client_spoils_does_not_hide_what_the_proxy_adds() -> None:
    raw = [(b"forwarded", b'for="'), (b"forwarded", b"for=1.2.3.4;proto=https")]

    found = TrustedProxies(PROXIES, FORWARDED).resolve("10.0.0.1", "http", raw)

    assert found == Client("1.2.3.4", "https", is_proxied=True)


def test_of_a_long_doubtful_header_the_log_has_the_end() -> None:
    found = resolve({"X-Forwarded-For": "6.6.6.6, " * 1000 + "1.2.3.4 spoiled"})

    assert found.doubtful is not None
    assert len(found.doubtful) == 200
    assert found.doubtful.endswith("1.2.3.4 spoiled")


@given(
    st.text(st.characters(codec="latin-1")),
    st.text(st.characters(codec="latin-1")),
    st.sampled_from([X_FORWARDED_FOR, FORWARDED, "none"]),
)
def test_no_header_can_break_it(one: str, other: str, header: ForwardedHeader) -> None:
    headers = {"Forwarded": one, "X-Forwarded-For": other, "X-Forwarded-Proto": one}

    caller = resolve(headers, "127.0.0.1", header)

    assert caller.scheme in {"http", "https"}
    assert find_address_key(caller.address, is_proxied=caller.is_proxied)


def test_nobody_is_trusted_by_default() -> None:
    headers = [(b"x-forwarded-for", b"1.2.3.4")]

    assert TrustedProxies([]).resolve("10.0.0.1", "http", headers) == Client("10.0.0.1", "http")
    assert TrustedProxies([]).resolve("unix", "http", headers) == Client("unix", "http")
