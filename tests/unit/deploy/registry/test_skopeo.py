"""The names by which an image is known to a registry."""

import pytest

from deploy.errors import DeployError, ExitCode
from deploy.registry import skopeo

DIGEST = f"sha256:{'a' * 64}"
NAME = "registry.example.org/todo/backend:1.0"


class TestReference:
    @pytest.mark.parametrize(
        ("text", "repository", "tag", "digest"),
        [
            (NAME, "registry.example.org/todo/backend", "1.0", None),
            (f"docker://{NAME}", "registry.example.org/todo/backend", "1.0", None),
            ("localhost:5000/todo", "localhost:5000/todo", None, None),
            ("localhost/todo", "localhost/todo", None, None),
            ("[::1]:5000/a__b/c-d:x", "[::1]:5000/a__b/c-d", "x", None),
            (f"r.io/a@{DIGEST}", "r.io/a", None, DIGEST),
            (f"r.io/a:1@{DIGEST}", "r.io/a", "1", DIGEST),
            ("docker.io/todo:1", "docker.io/library/todo", "1", None),
            ("registry:5000/todo", "registry:5000/todo", None, None),
        ],
    )
    def test_a_name_has_a_registry_a_path_and_perhaps_a_tag_and_a_digest(
        self, text: str, repository: str, tag: str | None, digest: str | None
    ) -> None:
        found = skopeo.parse(text)
        assert (found.repository, found.tag, found.digest) == (repository, tag, digest)

    @pytest.mark.parametrize(
        "text",
        [
            "todo/backend:1",
            "todo",
            "",
            "registry.example.org",
            "registry.example.org/",
            "registry.example.org/Todo",
            "registry.example.org/todo:",
            "registry.example.org/todo@sha256:short",
            "registry.example.org/todo --help",
            "-/todo",
        ],
    )
    def test_what_names_no_image_in_a_registry_is_refused(self, text: str) -> None:
        with pytest.raises(DeployError) as caught:
            skopeo.parse(text)
        assert caught.value.code == ExitCode.USAGE
        assert "REGISTRY/REPO[:TAG]" in caught.value.hint

    def test_skopeo_gets_the_digest_where_there_is_one_and_else_the_tag(self) -> None:
        assert skopeo.parse("r.io/a").transport == "docker://r.io/a:latest"
        assert skopeo.parse(f"r.io/a:1@{DIGEST}").transport == f"docker://r.io/a@{DIGEST}"

    @pytest.mark.parametrize(
        ("text", "loopback"),
        [
            ("localhost:5000/a", True),
            ("localhost/a", True),
            ("127.0.0.1:5000/a", True),
            ("[::1]:5000/a", True),
            ("127.example.org/a", False),
            ("localhost.example.org/a", False),
            ("192.0.2.1:5000/a", False),
        ],
    )
    def test_only_a_loopback_may_do_without_tls(self, text: str, *, loopback: bool) -> None:
        assert skopeo.parse(text).is_loopback is loopback
