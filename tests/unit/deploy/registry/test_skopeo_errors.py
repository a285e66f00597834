"""Each thing that skopeo can say: one line for the user, and an exit code."""

from __future__ import annotations

import pytest

from deploy.registry import skopeo_errors

DIGEST = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"
NAME = "registry.example.org/todo/backend:1.0"
WORDS = {
    "image": NAME,
    "repository": "registry.example.org/todo/backend",
    "registry": "registry.example.org",
    "login": "podman login registry.example.org",
    "key": "todo.pub",
}


@pytest.mark.parametrize(
    ("said", "line", "code"),
    [
        (
            "Source image rejected: A signature was required, but no signature exists",
            f"{NAME} is not signed",
            1,
        ),
        (
            (
                "Source image rejected: cryptographic signature verification failed: invalid "
                "signature when validating ASN.1 encoded signature"
            ),
            f"{NAME} is signed, but not with the private key of todo.pub",
            1,
        ),
        (
            (
                "Source image rejected: None of the signatures were accepted, reasons: "
                "cryptographic signature verification failed: invalid signature when validating "
                f"ASN.1 encoded signature; Signature for digest {OTHER} does not match"
            ),
            f"the signature of {NAME} is for another image, {OTHER}",
            1,
        ),
        (
            (
                "Source image rejected: Signature for identity "
                r"\"registry.example.org/todo/backend:0.9\" is not accepted"
            ),
            f"{NAME} is signed, but for the name registry.example.org/todo/backend:0.9",
            1,
        ),
        (
            (
                "Source image rejected: None of the signatures were accepted, reasons: parsing "
                "public key 1: PEM decoding failed"
            ),
            "todo.pub is not a public key",
            65,
        ),
        (
            (
                "writing blob: happened during read: Digest did not match, expected "
                f"{DIGEST}, got {OTHER}"
            ),
            f"the content that registry.example.org returned for {NAME} does not match its digest",
            65,
        ),
        (
            (
                f"determining manifest MIME type for docker://r.io/a@{DIGEST}: Manifest does not "
                f"match provided manifest digest {DIGEST}"
            ),
            f"the content that registry.example.org returned for {NAME} does not match its digest",
            65,
        ),
        (
            (
                f"reading config blob {DIGEST}: Download config.json digest {OTHER} does not "
                f"match expected {DIGEST}"
            ),
            f"the content that registry.example.org returned for {NAME} does not match its digest",
            65,
        ),
        (
            "initializing private key: decrypt: encrypted: decryption failed",
            "wrong passphrase for todo.pub",
            78,
        ),
        (
            "initializing private key: unsupported pem type: PUBLIC KEY",
            "todo.pub is not an encrypted sigstore key",
            65,
        ),
        (
            (
                f"trying to reuse blob {DIGEST} at destination: checking whether a blob {DIGEST} "
                "exists in registry.example.org/todo/backend: authentication required"
            ),
            "registry.example.org rejected the login — podman login registry.example.org",
            78,
        ),
        (
            (
                "initializing source docker://r.io/a:1: reading manifest 1 in r.io/a: manifest "
                "unknown"
            ),
            f"{NAME} is not in the registry",
            69,
        ),
        (
            (
                r"pinging container registry r.io: Get \"https://r.io/v2/\": dial tcp: lookup "
                "r.io on 192.0.2.1:53: no such host"
            ),
            "registry.example.org cannot be reached: no such host",
            69,
        ),
        (
            (
                r"pinging container registry r.io: Get \"https://r.io/v2/\": http: server gave "
                "HTTP response to HTTPS client"
            ),
            "registry.example.org uses plain HTTP",
            78,
        ),
        (
            (
                r"pinging container registry r.io: Get \"https://r.io/v2/\": tls: failed to "
                "verify certificate: x509: certificate signed by unknown authority"
            ),
            (
                "the certificate of registry.example.org is not trusted: x509: certificate "
                "signed by unknown authority"
            ),
            78,
        ),
        (
            (
                "reading manifest 1 in r.io/a: received unexpected HTTP status: 500 Internal "
                "Server Error"
            ),
            "registry.example.org failed: 500 Internal Server Error",
            69,
        ),
        (
            (
                "writing blob: happened during read: (heuristic tuning data: total 25): "
                "unexpected EOF"
            ),
            f"registry.example.org closed the connection during the transfer of {NAME}",
            69,
        ),
    ],
)
def test_what_skopeo_says_becomes_one_line_with_a_code(said: str, line: str, code: int) -> None:
    found = skopeo_errors.explain(f'time="2026-01-01T00:00:00Z" level=fatal msg="{said}"\n', WORDS)
    assert found is not None
    assert str(found).startswith(line)
    assert found.code == code
    assert found.message.count("{") == 0


def test_what_is_not_known_is_left_to_whoever_ran_it() -> None:
    assert skopeo_errors.explain('level=fatal msg="flux capacitor empty"', WORDS) is None
