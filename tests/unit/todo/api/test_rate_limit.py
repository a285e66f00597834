import pytest

from todo.api.rate_limit import RateLimit, find_address_key
from todo.core.errors import RateLimitedError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_gives_a_minutes_worth_and_refills_evenly() -> None:
    clock = Clock()
    limit = RateLimit("token", 60, clock=clock)

    for _ in range(60):
        limit.take("alice")
    with pytest.raises(RateLimitedError) as caught:
        limit.take("alice")
    assert caught.value.headers == {
        "Retry-After": "1",
        "RateLimit-Policy": '"token";q=60;w=60',
        "RateLimit": '"token";r=0;t=1',
    }
    limit.take("bob")
    clock.now += 1
    limit.take("alice")
    with pytest.raises(RateLimitedError):
        limit.take("alice")
    clock.now += 3600
    for _ in range(60):
        limit.take("alice")
    with pytest.raises(RateLimitedError):
        limit.take("alice")


def test_the_fields_tell_what_is_left() -> None:
    limit = RateLimit("token", 120, clock=Clock())

    assert limit.take("alice") == (
        (b"ratelimit-policy", b'"token";q=120;w=60'),
        (b"ratelimit", b'"token";r=119;t=1'),
    )
    for _ in range(58):
        limit.take("alice")
    assert limit.take("alice")[1] == (b"ratelimit", b'"token";r=60;t=30')


def test_a_slow_limit_says_how_long_to_wait() -> None:
    limit = RateLimit("token", 1, clock=Clock())
    limit.take("alice")

    with pytest.raises(RateLimitedError) as caught:
        limit.take("alice")

    assert caught.value.headers["Retry-After"] == "60"


def test_a_charge_takes_what_there_is() -> None:
    limit = RateLimit("address", 60, clock=Clock())
    limit.charge("a", 50)
    assert limit.take("a")[1] == (b"ratelimit", b'"address";r=9;t=51')
    limit.charge("a", 50)

    with pytest.raises(RateLimitedError) as caught:
        limit.take("a")

    assert caught.value.headers["Retry-After"] == "1"


def test_the_least_recently_used_bucket_is_forgotten() -> None:
    limit = RateLimit("address", 2, clock=Clock())
    limit.take("kept")
    limit.take("forgotten")
    for number in range(9_998):
        limit.take(str(number))
    limit.take("kept")
    limit.take("one more")

    limit.take("forgotten")
    limit.take("forgotten")
    with pytest.raises(RateLimitedError):
        limit.take("kept")


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:0:1::1", "20010db800000001/64"),
        ("2001:db8:0:1:ffff::2", "20010db800000001/64"),
        ("2001:db8:0:2::1", "20010db800000002/64"),
        ("fe80::1%eth0", "fe80000000000000/64"),
        ("127.0.0.1", None),
        ("::ffff:127.0.0.1", None),
        ("::1", None),
        ("unix", None),
    ],
)
def test_an_address_is_counted_with_its_neighbours(address: str, key: str | None) -> None:
    assert find_address_key(address) == key


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("::1", "0/64"),
        ("unix", "unix"),
        ("203.0.113.7", "203.0.113.7"),
    ],
)
def test_everything_that_comes_through_a_proxy_is_counted(address: str, key: str) -> None:
    assert find_address_key(address, is_proxied=True) == key


@pytest.mark.parametrize(
    ("prefix", "other", "is_same"),
    [
        (64, "2001:db8:0:1ff::1", False),
        (56, "2001:db8:0:1ff::1", True),
        (56, "2001:db8:0:200::1", False),
        (48, "2001:db8:0:ffff::1", True),
        (128, "2001:db8:0:100::2", False),
    ],
)
def test_the_length_of_the_prefix_can_be_chosen(prefix: int, other: str, *, is_same: bool) -> None:
    keys = [
        find_address_key(address, ipv6_prefix=prefix) for address in ("2001:db8:0:100::1", other)
    ]

    assert (keys[0] == keys[1]) == is_same
    assert find_address_key("203.0.113.7", ipv6_prefix=prefix) == "203.0.113.7"


def test_a_window_can_be_longer_than_a_minute() -> None:
    clock = Clock()
    limit = RateLimit("calls", 2, window_s=3600, clock=clock)
    limit.take("alice")
    limit.take("alice")
    with pytest.raises(RateLimitedError) as caught:
        limit.take("alice")
    assert caught.value.headers["RateLimit-Policy"] == '"calls";q=2;w=3600'
    assert caught.value.headers["Retry-After"] == "1800"
    clock.now += 1800
    limit.take("alice")


def test_permits_beyond_those_left_are_forgiven_or_owed() -> None:
    clock = Clock()
    limit = RateLimit("tokens", 60, clock=clock)
    limit.charge("alice", 100)
    limit.charge("bob", 100, owe=True)
    assert (limit.find_left("alice"), limit.find_left("bob")) == (0, -40)
    assert limit.find_wait_s("bob") == 40
    clock.now += 41
    assert (limit.find_left("alice"), limit.find_left("bob")) == (41, 1)


def test_a_bucket_owes_at_most_the_permits_of_a_window() -> None:
    limit = RateLimit("tokens", 60, clock=Clock())
    limit.charge("alice", 10**9, owe=True)
    assert limit.find_left("alice") == -60
    assert limit.render_left("alice")[1] == (b"ratelimit", b'"tokens";r=0;t=120')
