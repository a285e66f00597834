"""The backend with a database of a provider: over TLS, with a password out of a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.certificates import Authority
from tests.integration.cluster import Cluster
from tests.integration.service import Service, make_environment, open_service, run_admin
from tests.integration.users import TASKS, invite
from tests.integration.walkthrough import take_tour

HOST = "db.example.org"
PASSWORD = "open sesame"  # noqa: S105 - what the cluster gives the role


class Provider:
    """A database whose server is HOST by its certificate, and 127.0.0.1 in truth."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.local_url = cluster.make_database()
        authority = Authority("Provider")
        cluster.stop()
        self._port = cluster.serve_tls(authority, HOST)
        cluster.start()
        self.certificate = folder / "provider.pem"
        self.certificate.write_bytes(authority.certificate)
        self.password = folder / "password"

    def options(self, *, host: str = HOST, certificate: Path | None = None) -> dict[str, str]:
        """Return the options that docs/database.md names."""
        name = self.local_url.partition("?")[0].rpartition("/")[2]
        trusted = certificate or self.certificate
        return {
            "TODO_DATABASE_URL": f"postgresql+psycopg://todo@{host}:{self._port}/{name}"
            f"?hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert={trusted}",
            "TODO_DATABASE_PASSWORD_FILE": str(self.password),
            "TODO_DATABASE_BREAKER_RESET_S": "1",
        }

    def set_password(self, password: str) -> None:
        """Rotate the role's password, and end what was opened with the one before."""
        self.cluster.query(self.local_url, f"ALTER ROLE todo PASSWORD '{password}'")
        self.end_connections()

    def end_connections(self) -> None:
        ended = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
        self.cluster.query(self.local_url, f"{ended} WHERE usename = 'todo'")


@pytest.fixture(scope="module")
def shared_provider(own_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Provider:
    return Provider(own_cluster, tmp_path_factory.mktemp("provider"))


@pytest.fixture
def provider(shared_provider: Provider) -> Provider:
    """As it is before each test, with a role of an unfortunate time zone."""
    provider = shared_provider
    provider.set_password(PASSWORD)
    provider.password.write_text(f"{PASSWORD}\n")
    provider.cluster.query(provider.local_url, "ALTER ROLE todo SET timezone = 'Europe/Berlin'")
    return provider


@pytest.fixture
def service(provider: Provider, tmp_path: Path) -> Iterator[Service]:
    migrated = run_admin(make_environment(tmp_path, provider.options()), "migrate")
    assert migrated.returncode == 0, migrated.stderr
    with open_service(provider.options()) as service:
        service.wait_ready()
        yield service


def assert_tells(service: Service, *causes: str) -> None:
    """Assert that it answers 503 and logs the cause in one line, without any secret."""
    with service.client(service.token()) as client:
        answers = [client.get(TASKS) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.json()["code"] for answer in answers} == {"database-unavailable"}
    service.wait_not_ready()
    assert service.get_check("livez").status_code == 200
    told = [
        event["message"]
        for event in service.events
        if event["message"].startswith("the database is not available: ")
        # The end of the connections is another cause, if a statement met it.
        and "due to administrator command" not in event["message"]
    ]
    assert len(told) == 1, told
    assert "\n" not in told[0]
    for cause in causes:
        assert cause in told[0]
    assert "sesame" not in str(service.events) + service.errors


def test_everything_works_over_tls(service: Service, provider: Provider, tmp_path: Path) -> None:
    with invite(service) as make_person:
        take_tour(service, make_person("alice"), tmp_path)

        query = (
            "SELECT bool_and(ssl.ssl) FROM pg_stat_activity JOIN pg_stat_ssl ssl USING (pid)"
            " WHERE usename = 'todo'"
        )
        assert provider.cluster.query(provider.local_url, query) == [(True,)]


def test_a_certificate_of_somebody_else_is_refused(provider: Provider, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(Authority("Somebody else").certificate)

    with open_service(provider.options(certificate=other)) as service:
        service.wait_for("listening")
        assert_tells(service, "certificate verify failed")


def test_a_certificate_for_another_host_is_refused(provider: Provider) -> None:
    with open_service(provider.options(host="elsewhere.example.org")) as service:
        service.wait_for("listening")
        assert_tells(service, HOST, "elsewhere.example.org")


def test_a_certificate_file_that_is_not_there_is_named(provider: Provider) -> None:
    missing = Path("/nowhere/provider.pem")
    with open_service(provider.options(certificate=missing)) as service:
        service.wait_for("listening")
        assert_tells(service, str(missing))


def test_a_wrong_password_is_told_and_the_right_one_is_taken_without_a_restart(
    provider: Provider, service: Service
) -> None:
    provider.password.write_text("open barley sesame")
    provider.end_connections()
    assert_tells(service, "password authentication failed", "todo")

    provider.password.write_text(PASSWORD)
    service.wait_ready()
    service.wait_for("the database is available again")


def test_a_rotated_password_is_read_at_the_next_connection(
    provider: Provider, service: Service
) -> None:
    provider.password.write_text("open barley")
    provider.set_password("open barley")

    with service.client(service.token()) as client:
        assert [client.get(TASKS).status_code for _ in range(3)] == [200] * 3


def test_a_password_file_that_is_gone_is_told_until_it_is_back(
    provider: Provider, service: Service
) -> None:
    provider.password.unlink()
    provider.end_connections()
    assert_tells(service, "TODO_DATABASE_PASSWORD_FILE", str(provider.password))

    provider.password.write_text(PASSWORD)
    service.wait_ready()


def test_commands_tell_the_cause_in_one_line(provider: Provider, tmp_path: Path) -> None:
    environment = make_environment(tmp_path, provider.options(host="elsewhere.example.org"))
    for command in ("migrate", "export", "verify"):
        done = run_admin(environment, command)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (69, "", 1)
        assert "elsewhere.example.org" in done.stderr
