import asyncio
import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from tests.issuer import ALGORITHMS, Issuer, key_set
from todo.auth.key_set import MAX_BYTES, KeySet, parse_key_set
from todo.core.errors import KeySetUnavailableError

FIRST, SECOND = Issuer("EdDSA", "first"), Issuer("EdDSA", "second")


class Source:
    """A source of keys that can be down, and a clock."""

    def __init__(self) -> None:
        self.text = key_set(FIRST)
        self.down = False
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.now = 1000.0
        self.keys = KeySet(self.fetch, refetch_s=30, clock=lambda: self.now)

    async def fetch(self) -> tuple[bytes, float]:
        self.asked += 1
        await asyncio.sleep(0)
        await self.answers.wait()
        if self.down:
            raise ConnectionRefusedError
        return self.text, 300.0

    async def knows(self, key_id: str | None) -> bool:
        return bool(await self.keys.find(key_id, "EdDSA"))

    async def settle(self) -> None:
        """Let a fetch in the background run as far as it can."""
        for _ in range(5):
            await asyncio.sleep(0)


def test_keys_are_fetched_once_for_many_and_again_when_stale() -> None:
    async def run() -> None:
        source = Source()
        assert await asyncio.gather(*(source.knows("first") for _ in range(10))) == [True] * 10
        source.now += 299
        assert await source.knows("first")
        assert source.asked == 1
        source.now += 2
        assert await asyncio.gather(*(source.knows("first") for _ in range(10))) == [True] * 10
        await source.settle()
        assert source.asked == 2

    asyncio.run(run())


def test_a_new_key_is_found_and_a_withdrawn_one_forgotten() -> None:
    async def run() -> None:
        source = Source()
        assert await source.knows("first")
        source.text = key_set(SECOND)
        source.now += 31
        assert await source.knows("second")
        assert not await source.knows("first")

    asyncio.run(run())


def test_unknown_keys_ask_once_an_interval() -> None:
    async def run() -> None:
        source = Source()
        assert await source.knows("first")
        for number in range(50):
            assert not await source.knows(f"invented {number}")
        assert source.asked == 1
        source.now += 31
        for number in range(50):
            assert not await source.knows(f"invented {number}")
        assert source.asked == 2

    asyncio.run(run())


def test_known_keys_stay_while_the_source_is_down() -> None:
    async def run() -> None:
        source = Source()
        assert await source.knows("first")
        source.down = True
        source.now += 301
        for _ in range(20):
            assert await source.knows("first")
            await source.settle()
        assert source.asked == 2
        source.down = False
        source.text = key_set(SECOND)
        source.now += 61
        assert await source.knows("second")
        assert not await source.knows("first")

    asyncio.run(run())


def test_without_keys_a_source_that_is_down_is_unavailable_and_left_in_peace() -> None:
    async def run() -> None:
        source = Source()
        source.down = True
        for _ in range(20):
            with pytest.raises(KeySetUnavailableError) as caught:
                await source.knows("first")
        assert source.asked == 2
        assert 25 <= int(caught.value.headers["Retry-After"]) <= 30
        assert source.keys.breaker.state == "open"

    asyncio.run(run())


def test_a_source_that_talks_nonsense_changes_nothing() -> None:
    async def run() -> None:
        source = Source()
        assert await source.knows("first")
        source.text = b"<html>"
        source.now += 301
        assert await source.knows("first")
        await source.settle()
        assert source.asked == 2
        assert await source.knows("first")

    asyncio.run(run())


def test_a_source_that_hangs_holds_up_no_token_whose_key_is_known() -> None:
    async def run() -> None:
        source = Source()
        assert await source.knows("first")
        source.answers.clear()
        source.text = key_set(SECOND)
        for _ in range(3):
            source.now += 301
            # Would wait forever otherwise.
            assert await source.knows("first")
            await source.settle()
        assert source.asked == 2
        source.answers.set()
        await source.settle()
        assert await source.knows("second")
        assert not await source.knows("first")

    asyncio.run(run())


def test_an_unknown_key_waits_for_a_source_that_is_slow() -> None:
    async def run() -> None:
        source = Source()
        assert await source.knows("first")
        source.now += 31
        source.text = key_set(SECOND)
        source.answers.clear()
        asking = asyncio.create_task(source.knows("second"))
        await source.settle()
        assert not asking.done()
        assert await source.knows("first")
        source.answers.set()
        assert await asking

    asyncio.run(run())


def test_keys_are_fetched_without_requests_once_they_are_not_fresh() -> None:
    async def run() -> None:
        fetched = asyncio.Queue[int]()

        async def fetch() -> tuple[bytes, float]:
            fetched.put_nowait(1)
            return key_set(FIRST), 0.01

        keys = KeySet(fetch, refetch_s=30)
        assert await keys.find("first", "EdDSA")
        for _ in range(3):
            await fetched.get()

    asyncio.run(run())


def test_a_request_that_leaves_does_not_end_the_fetch_of_others() -> None:
    async def run() -> None:
        source = Source()
        one, other = (asyncio.create_task(source.knows("first")) for _ in range(2))
        await asyncio.sleep(0)
        one.cancel()
        assert await other
        assert source.asked == 1

    asyncio.run(run())


def test_a_token_without_a_key_id_has_the_only_key() -> None:
    async def run() -> None:
        source = Source()
        assert await source.knows(None)
        source.text = key_set(FIRST, SECOND)
        source.now += 301
        assert await source.knows("second")
        assert not await source.knows(None)

    asyncio.run(run())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_without_a_key_id_has_the_one_key_of_its_algorithm(algorithm: str) -> None:
    async def run() -> None:
        issuers = [Issuer(each, f"of {each}") for each in ALGORITHMS]
        source = Source()
        source.text = key_set(*issuers)
        (found,) = await source.keys.find(None, algorithm)
        assert found.key_id == f"of {algorithm}"

    asyncio.run(run())


@pytest.mark.parametrize("key_id", [None, ""])
def test_a_key_without_an_id_is_for_tokens_without_one(key_id: str | None) -> None:
    async def run() -> None:
        source = Source()
        source.text = json.dumps({"keys": [FIRST.jwk, {**SECOND.jwk, "kid": key_id}]}).encode()
        (found,) = await source.keys.find(key_id, "EdDSA")
        assert json.loads(OKPAlgorithm.to_jwk(found.key))["x"] == SECOND.jwk["x"]
        # Not a guess between several.
        unnamed = [{**each.jwk, "kid": None} for each in (FIRST, SECOND)]
        source.text = json.dumps({"keys": unnamed}).encode()
        source.now += 31
        assert not await source.knows("unknown")
        assert not await source.knows(key_id)

    asyncio.run(run())


@pytest.mark.parametrize(
    "again", [{"alg": "Ed25519"}, {"kid": "other"}, {"kid": None, "alg": "Ed25519"}, {}]
)
def test_a_key_that_is_listed_twice_is_one_key(again: dict[str, Any]) -> None:
    async def run() -> None:
        source = Source()
        source.text = json.dumps({"keys": [FIRST.jwk, {**FIRST.jwk, **again}]}).encode()
        for key_id in (None, "first"):
            (found,) = await source.keys.find(key_id, "EdDSA")
            assert json.loads(OKPAlgorithm.to_jwk(found.key))["x"] == FIRST.jwk["x"]

    asyncio.run(run())


def test_keys_with_one_id_are_all_tried_up_to_a_limit() -> None:
    async def run() -> None:
        source = Source()
        others = [Issuer("EdDSA", f"other {number}") for number in range(8)]
        keys = [{**each.jwk, "kid": "first"} for each in (SECOND, FIRST, *others)]
        source.text = json.dumps({"keys": keys}).encode()
        found = await source.keys.find("first", "EdDSA")
        numbers = [json.loads(OKPAlgorithm.to_jwk(each.key))["x"] for each in found]
        assert numbers == [each["x"] for each in keys[:4]]

    asyncio.run(run())


def test_the_algorithm_may_be_named_after_the_curve() -> None:
    async def run() -> None:
        source = Source()
        source.text = json.dumps({"keys": [{**FIRST.jwk, "alg": "Ed25519"}]}).encode()
        for algorithm in ("Ed25519", "EdDSA"):
            assert await source.keys.find("first", algorithm)
        assert not await source.keys.find("first", "ES256")

    asyncio.run(run())


def weak_rsa() -> dict[str, Any]:
    jwk: dict[str, Any] = json.loads(
        RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key())  # noqa: S505
    )
    return {**jwk, "kid": "weak"}


def oct_key() -> dict[str, Any]:
    return {"kty": "oct", "kid": "s", "k": base64.urlsafe_b64encode(b"x" * 32).decode()}


def names(text: bytes) -> list[tuple[str | None, str]]:
    """Id and algorithm of each usable key."""
    return [(key.id, key.algorithm) for key in parse_key_set(text)]


UNUSABLE = {
    "a shared secret": oct_key(),
    "a private key": {**FIRST.jwk, "d": "AA"},
    "a key for encryption": {**FIRST.jwk, "use": "enc"},
    "a key to sign with": {**FIRST.jwk, "key_ops": ["sign"]},
    "another algorithm": {**FIRST.jwk, "alg": "HS256"},
    "another algorithm of its kind": {**Issuer("RS256").jwk, "alg": "PS256"},
    "the algorithm of another curve": {**FIRST.jwk, "alg": "Ed448"},
    "a curve's algorithm for another kind": {**Issuer("ES256").jwk, "alg": "Ed25519"},
    "an algorithm that is not text": {**FIRST.jwk, "alg": ["EdDSA"]},
    "another curve": {**FIRST.jwk, "crv": "Ed448"},
    "a curve that is no text": {**FIRST.jwk, "crv": []},
    "no kind": {"kid": "a"},
    "a broken point": {**FIRST.jwk, "x": "AA"},
    "a number as id": {**FIRST.jwk, "kid": 7},
    "a weak key": weak_rsa(),
    "no object": [],
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_key_that_is_not_usable_is_left_out(name: str) -> None:
    text = json.dumps({"keys": [UNUSABLE[name], SECOND.jwk]}).encode()

    assert names(text) == [("second", "EdDSA")]
    with pytest.raises(ValueError, match="it has no"):
        parse_key_set(json.dumps({"keys": [UNUSABLE[name]]}).encode())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_that_says_little_is_bound_to_the_algorithm_of_its_kind(algorithm: str) -> None:
    jwk = {
        name: value for name, value in Issuer(algorithm).jwk.items() if name not in {"alg", "use"}
    }

    assert names(json.dumps({"keys": [jwk]}).encode()) == [("first", algorithm)]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_null_in_a_key_is_not_there(algorithm: str) -> None:
    issuer = Issuer(algorithm)
    jwk = {**issuer.jwk, **dict.fromkeys(("kid", "alg", "use", "key_ops", "x5c", "d"))}

    assert names(json.dumps({"keys": [jwk]}).encode()) == [(None, algorithm)]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": []}',
        b"\xff",
        b"[" * 50_000,
        json.dumps({"keys": [FIRST.jwk] * 65}).encode(),
        key_set(FIRST) + b" " * MAX_BYTES,
    ],
)
def test_what_is_no_key_set_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"^it |^no key|^`keys`"):
        parse_key_set(text)
