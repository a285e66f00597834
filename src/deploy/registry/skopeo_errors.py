"""Causes in the error output of skopeo: login, registry, signature or key."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from deploy.errors import DeployError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

_MESSAGE = re.compile(r'level=fatal msg="((?:[^"\\]|\\.)*)"')


@dataclasses.dataclass(frozen=True)
class Refusal:
    """One cause among those that a registry, a policy or a key can have.

    `message` and `hint` are templates over the words that `explain` is given, and over the
    groups of `mark`.
    """

    mark: re.Pattern[str]
    message: str
    hint: str
    code: ExitCode


_DISTRUST = "do not run it"

# The first that fits counts: an image may carry many signatures, each rejected for a reason of
# its own, and the one that came nearest to acceptance says most.
_REFUSALS = (
    Refusal(
        re.compile(r"decryption failed"),
        "the passphrase does not open {key}",
        "",
        ExitCode.CONFIG,
    ),
    Refusal(
        re.compile(r"initializing private key"),
        "{key} is not an encrypted sigstore key",
        "python3 build.py sign --generate-key PREFIX makes one",
        ExitCode.DATA,
    ),
    Refusal(
        re.compile(
            r"authentication required|unauthorized|invalid username/password|access denied|denied: "
            r"|access to the resource is denied"
        ),
        "{registry} refuses this login",
        "{login}",
        ExitCode.CONFIG,
    ),
    Refusal(
        re.compile(r"server gave HTTP response to HTTPS client"),
        "{registry} speaks plain HTTP, which is for a registry on the loopback alone",
        "give it a certificate",
        ExitCode.CONFIG,
    ),
    Refusal(
        re.compile(r"(x509: [^;]+)"),
        "the certificate of {registry} is not trusted: {0}",
        "put its authority's certificate into ~/.config/containers/certs.d/{registry}/ca.crt",
        ExitCode.CONFIG,
    ),
    Refusal(
        re.compile(
            r"(connection refused|no such host|i/o timeout|no route to host|connection reset"
            r"|network is unreachable|server misbehaving|context deadline exceeded)"
        ),
        "{registry} cannot be reached: {0}",
        "check its name, the connection and the proxy settings",
        ExitCode.UNAVAILABLE,
    ),
    Refusal(
        re.compile(r"received unexpected HTTP status: (\d+[\w ]*)"),
        "{registry} fails: {0}",
        "its log says why",
        ExitCode.UNAVAILABLE,
    ),
    Refusal(
        re.compile(r"unexpected EOF"),
        "{registry} broke off in the middle of {image}",
        "run the command again; when that does not help, look at the registry's storage",
        ExitCode.UNAVAILABLE,
    ),
    Refusal(
        re.compile(r"manifest unknown|name unknown|repository name not known"),
        "{image} is not in the registry",
        "see what is: skopeo list-tags docker://{repository}",
        ExitCode.UNAVAILABLE,
    ),
    Refusal(
        re.compile(r"Signature for digest (sha256:[0-9a-f]{64}) does not match"),
        "the signature at {image} is that of another image, {0}: this one was put in its place",
        _DISTRUST,
        ExitCode.FAILED,
    ),
    Refusal(
        re.compile(r"Signature for identity \"([^\"]+)\" is not accepted"),
        "{image} is signed, but as {0}",
        "ask for that name, or let its publisher sign this one",
        ExitCode.FAILED,
    ),
    Refusal(
        re.compile(r"parsing public key"),
        "{key} is not a public key",
        "it takes the file that ends in .pub",
        ExitCode.DATA,
    ),
    Refusal(
        re.compile(r"cryptographic signature verification failed"),
        "{image} is signed, but not with the key that {key} belongs to",
        f"{_DISTRUST}, unless its publisher confirms a new key",
        ExitCode.FAILED,
    ),
    Refusal(
        re.compile(r"no signature exists"),
        "{image} is not signed",
        f"{_DISTRUST}, or let its publisher sign it",
        ExitCode.FAILED,
    ),
    Refusal(
        re.compile(
            r"Digest did not match|does not match provided manifest digest|does not match expected"
            r"|corrupt input",
            re.IGNORECASE,
        ),
        "what {registry} delivers for {image} is not what its digest says: it was altered there",
        _DISTRUST,
        ExitCode.DATA,
    ),
)


def explain(output: str, words: Mapping[str, str]) -> DeployError | None:
    """The error that a user sees for what skopeo wrote, or None when the cause is not known.

    Args:
        output: Standard error of skopeo.
        words: `image`, `repository` and `registry` by name, `login` as the command that logs
            in, and `key` as the file that signs or verifies.
    """
    found = _MESSAGE.findall(output)
    text = found[-1].replace('\\"', '"') if found else output
    for refusal in _REFUSALS:
        match = refusal.mark.search(text)
        if match:
            return DeployError(
                refusal.message.format(*match.groups(), **words),
                hint=refusal.hint.format(**words),
                code=refusal.code,
            )
    return None
