import contextlib
import signal
import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.integration import schema_sources
from tests.integration.cluster import BACKEND_ROLE, Cluster, open_cluster
from tests.integration.service import Service, open_service
from tests.integration.tokens import Open
from tests.integration.users import MakeClient, MakePerson, Person, invite
from todo.config.settings import Settings
from todo.db.migrate import migrate


@pytest.fixture(scope="session", autouse=True)
def _end_like_an_interrupt() -> Iterator[None]:
    """Stop servers and remove folders also when the run is ended by SIGTERM."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster that every test may use and none may stop."""
    with _open() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Cluster]:
    """A cluster that the tests of one module may stop."""
    with _open() as cluster:
        yield cluster


@contextlib.contextmanager
def _open() -> Iterator[Cluster]:
    with contextlib.ExitStack() as stack:
        try:
            cluster = stack.enter_context(open_cluster())
        except (FileNotFoundError, TimeoutError) as error:
            # A missing database is a failure of this tier, never a reason to skip it.
            pytest.fail(str(error), pytrace=False)
        yield cluster


@pytest.fixture(scope="session")
def postgres_service(cluster: Cluster) -> Iterator[Service]:
    """A backend on PostgreSQL, shared, in a role that does not own its schema."""
    url = cluster.make_database()
    migrate_as_owner(cluster.hand_over(url))
    with open_service({"TODO_DATABASE_URL": url}) as service:
        service.wait_ready()
        yield service


def migrate_as_owner(url: str) -> None:
    """Migrate in the owner's role, for the backend's."""
    if sources := schema_sources.find_sources():
        schema_sources.migrate_by(sources, url, BACKEND_ROLE)
    migrate(Settings(database_url=url, database_backend_role=BACKEND_ROLE), print)


@pytest.fixture(scope="session")
def sqlite_service() -> Iterator[Service]:
    """A backend on its embedded database, shared."""
    with open_service({}) as service:
        service.wait_ready()
        yield service


@pytest.fixture(params=["sqlite", "postgres"])
def service(request: pytest.FixtureRequest) -> Service:
    """A backend on each of the databases."""
    found: Service = request.getfixturevalue(f"{request.param}_service")
    return found


@pytest.fixture
def make_person(service: Service) -> Iterator[MakePerson]:
    """Users of that backend, new ones in each test."""
    with invite(service) as make:
        yield make


@pytest.fixture
def alice(make_person: MakePerson) -> Person:
    return make_person("alice")


@pytest.fixture
def bob(make_person: MakePerson) -> Person:
    return make_person("bob")


@pytest.fixture
def make_client(make_person: MakePerson) -> MakeClient:
    """Clients of new users."""
    return lambda: make_person("user").http


@pytest.fixture
def client(make_client: MakeClient) -> httpx.Client:
    """A client of a new user."""
    return make_client()


@pytest.fixture
def connect(service: Service) -> Iterator[Open]:
    """A client for a token."""
    with contextlib.ExitStack() as stack:
        yield lambda token: stack.enter_context(service.client(token))


@pytest.fixture
def user() -> str:
    return f"user-{uuid.uuid4()}"


@pytest.fixture
def owner(service: Service, connect: Open, user: str) -> httpx.Client:
    """A fresh user with a JSON Web Token."""
    return connect(service.token(user))
