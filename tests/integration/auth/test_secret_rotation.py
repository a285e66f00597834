"""A signing secret is replaced while the tokens of the former one stay valid for a while."""

from pathlib import Path

from tests.integration.service import Service, call_admin, open_service
from tests.integration.users import TASKS

OLD = "an old secret of more than 32 bytes, kept for a while"
NEW = "a new secret of more than 32 bytes, for all new tokens"


def issue(service: Service) -> str:
    """A token as an operator issues it."""
    done = call_admin(service.environment, "token", "--subject", "alice")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def accepts(service: Service, token: str) -> bool:
    with service.client(token) as client:
        return client.get(TASKS).status_code == 200


def test_tokens_outlive_their_secret_until_the_option_is_removed(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text(OLD)
    new.write_text(f"{NEW}\n")

    with open_service({"TODO_TOKEN_SECRET_FILE": str(old)}) as service:
        service.wait_ready()
        before = issue(service)
        assert accepts(service, before)
    both = {
        "TODO_TOKEN_SECRET_FILE": str(new),
        "TODO_TOKEN_PREVIOUS_SECRET_FILE": str(old),
    }
    with open_service(both) as service:
        service.wait_ready()
        after = issue(service)
        assert accepts(service, before)
        assert accepts(service, after)
    with open_service({"TODO_TOKEN_SECRET_FILE": str(new)}) as service:
        service.wait_ready()
        assert accepts(service, after)
        assert not accepts(service, before)
