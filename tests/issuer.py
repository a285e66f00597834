"""An issuer of tokens with a key of its own, as a front end's login service is one."""

import base64
import functools
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ALGORITHMS = ["EdDSA", "ES256", "RS256"]


class Issuer:
    """One key pair, with its id."""

    def __init__(self, algorithm: str, key_id: str = "first") -> None:
        self.algorithm = algorithm
        self.key_id = key_id
        self._key = _make_key(algorithm, key_id)

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key, in the format of a key set."""
        to_jwk = jwt.get_algorithm_by_name(self.algorithm).to_jwk
        public: dict[str, Any] = json.loads(to_jwk(self._key.public_key()))
        return {**public, "kid": self.key_id, "alg": self.algorithm, "use": "sig"}

    @property
    def pem(self) -> bytes:
        """The public key as a text, which confused verifiers take for a shared secret."""
        pem: bytes = self._key.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        return pem

    def sign(self, claims: dict[str, Any] | None = None, **header: Any) -> str:  # noqa: ANN401
        """A token of alice's that is good for ten minutes, or as claims and header say.

        What is None is left out.
        """
        said = {"sub": "alice", "exp": int(time.time()) + 600, **(claims or {})}
        headers = _without_none({"kid": self.key_id, **header})
        return jwt.encode(_without_none(said), self._key, self.algorithm, headers)

    def sign_under(self, header: dict[str, Any]) -> str:
        """A token of alice's with a header that PyJWT itself would not write."""
        content = unsigned(header, {"sub": "alice", "exp": int(time.time()) + 600})[:-1]
        algorithm = jwt.get_algorithm_by_name(self.algorithm)
        signature = algorithm.sign(content.encode(), self._key)
        return f"{content}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def key_set(*issuers: Issuer) -> bytes:
    """The public keys of some issuers, as they publish them."""
    return json.dumps({"keys": [issuer.jwk for issuer in issuers]}).encode()


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A token whose signature is empty."""
    parts = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in (header, claims)
    )
    return b".".join([*parts, b""]).decode()


def signed_with_secret(secret: bytes, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A token with HS256, with a secret that PyJWT itself would refuse to use."""
    content = unsigned({"alg": "HS256", **header}, claims)[:-1]
    digest = hmac.digest(secret, content.encode(), hashlib.sha256)
    return f"{content}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _without_none(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


@functools.cache
def _make_key(algorithm: str, _key_id: str) -> Any:  # noqa: ANN401 - three kinds
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, 2048)
