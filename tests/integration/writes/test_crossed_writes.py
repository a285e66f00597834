"""Two users who write into each other's lists at the same time."""

from concurrent.futures import ThreadPoolExecutor

from tests.integration.service import Service
from tests.integration.users import LISTS, TASKS, Person, invite


def test_two_who_change_tasks_in_each_others_lists_do_not_wait_for_each_other(
    postgres_service: Service,
) -> None:
    before = read_deadlocks(postgres_service)
    with invite(postgres_service) as person, ThreadPoolExecutor(4) as threads:
        alice, bob = person("alice"), person("bob")
        paths = {}
        for owner, other in ((alice, bob), (bob, alice)):
            shared = owner.create(LISTS, name="shared")["id"]
            owner.share(shared, other, "write")
            paths[other] = f"{TASKS}/{owner.create(TASKS, title='t', list_id=shared)['id']}"

        def write(person: Person) -> list[int]:
            return [
                person.http.patch(paths[person], json={"title": str(number)}).status_code
                for number in range(40)
            ]

        statuses = [each.result() for each in [threads.submit(write, p) for p in (alice, bob) * 2]]

    assert {status for each in statuses for status in each} == {200}
    assert read_deadlocks(postgres_service) == before


def read_deadlocks(service: Service) -> float:
    """Return the number of repeated transactions, from the metrics."""
    with service.client(management=True) as client:
        lines = client.get("/metrics").text.splitlines()
    return sum(
        float(line.rpartition(" ")[2]) for line in lines if line.startswith("todo_database_retries")
    )
