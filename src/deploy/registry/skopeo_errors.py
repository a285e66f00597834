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
    """Known error of skopeo, recognized by `mark`.

    `message` and `hint` are templates for `words` of `explain`; `message` may use groups of `mark`.
    """

    mark: re.Pattern[str]
    message: str
    hint: str
    code: ExitCode


_DISTRUST = "do not run it"

# The first match counts: if several signatures are rejected for different reasons, the reason of
# the one that was closest to acceptance is the most useful.
_REFUSALS = (
    Refusal(
        re.compile(r"decryption failed"),
        "wrong passphrase for {key}",
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
        "{registry} rejected the login",
        "{login}",
        ExitCode.CONFIG,
    ),
    Refusal(
        re.compile(r"server gave HTTP response to HTTPS client"),
        "{registry} uses plain HTTP, which is allowed on the loopback interface only",
        "configure a TLS certificate for it",
        ExitCode.CONFIG,
    ),
    Refusal(
        re.compile(r"(x509: [^;]+)"),
        "the certificate of {registry} is not trusted: {0}",
        "copy its CA certificate to ~/.config/containers/certs.d/{registry}/ca.crt",
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
        "{registry} failed: {0}",
        "see the registry's log",
        ExitCode.UNAVAILABLE,
    ),
    Refusal(
        re.compile(r"unexpected EOF"),
        "{registry} closed the connection during the transfer of {image}",
        "run the command again; if it fails again, check the registry's storage",
        ExitCode.UNAVAILABLE,
    ),
    Refusal(
        re.compile(r"manifest unknown|name unknown|repository name not known"),
        "{image} is not in the registry",
        "list its tags: skopeo list-tags docker://{repository}",
        ExitCode.UNAVAILABLE,
    ),
    Refusal(
        re.compile(r"Signature for digest (sha256:[0-9a-f]{64}) does not match"),
        "the signature of {image} is for another image, {0}: the image was replaced",
        _DISTRUST,
        ExitCode.FAILED,
    ),
    Refusal(
        re.compile(r"Signature for identity \"([^\"]+)\" is not accepted"),
        "{image} is signed, but for the name {0}",
        "use that name, or ask the publisher to sign this one",
        ExitCode.FAILED,
    ),
    Refusal(
        re.compile(r"parsing public key"),
        "{key} is not a public key",
        "use the file that ends in .pub",
        ExitCode.DATA,
    ),
    Refusal(
        re.compile(r"cryptographic signature verification failed"),
        "{image} is signed, but not with the private key of {key}",
        f"{_DISTRUST} unless the publisher confirms a new key",
        ExitCode.FAILED,
    ),
    Refusal(
        re.compile(r"no signature exists"),
        "{image} is not signed",
        f"{_DISTRUST}, or ask the publisher to sign it",
        ExitCode.FAILED,
    ),
    Refusal(
        re.compile(
            r"Digest did not match|does not match provided manifest digest|does not match expected"
            r"|corrupt input",
            re.IGNORECASE,
        ),
        "the content that {registry} returned for {image} does not match its digest: it was "
        "altered there",
        _DISTRUST,
        ExitCode.DATA,
    ),
)


def explain(output: str, words: Mapping[str, str]) -> DeployError | None:
    """Return the error for skopeo's output, or None if the cause is unknown.

    Args:
        output: Standard error of skopeo.
        words: Values for the templates: `image`, `repository`, `registry`, `login` (the command
            that logs in) and `key` (the file that signs or verifies).
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
