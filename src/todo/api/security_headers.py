"""Security headers of every response."""

from collections.abc import Iterable

from todo.api.rate_limit import Field

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
# One year, as the preload lists of browsers require; subdomains are left to their owners.
_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")


def add_security(headers: Iterable[Field], *, secure: bool) -> list[Field]:
    """Return the response's headers with missing browser security headers added.

    Header names are in lower case. `secure` states whether the caller used TLS.
    """
    result = list(headers)
    names = {name for name, _value in result}
    result += [field for field in _ALWAYS if field[0] not in names]
    if secure:
        result.append(_TRANSPORT)
    return result
