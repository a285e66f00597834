"""Verification of a JSON Web Token's signature and claims by PyJWT, with two additions.

A `kid` that is null counts as missing, and `Ed25519` (RFC 9864) is supported. Importing this module
imports `cryptography`, so it is not imported at startup.
"""

from typing import Any

import jwt
from jwt.algorithms import get_default_algorithms


class _Jws(jwt.PyJWS):
    def __init__(self) -> None:
        super().__init__()
        # `build.py dev` has no `cryptography`, and verifies HS256 only.
        if (curve := get_default_algorithms().get("EdDSA")) is not None:
            self.register_algorithm("Ed25519", curve)

    def _validate_kid(self, kid: Any) -> None:  # noqa: ANN401 - PyJWT's signature
        if kid is not None:
            super()._validate_kid(kid)


class _Jwt(jwt.PyJWT):
    def __init__(self) -> None:
        super().__init__()
        self._jws = JWS


JWS = _Jws()
JWT = _Jwt()
