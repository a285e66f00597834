"""API tokens as an operator sees them: their last use, the list, and revoking."""

import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import psycopg

from tests.integration.service import SECRET, START_TIMEOUT_S, Service, call_admin, run_admin
from tests.integration.stored import run_sql
from tests.integration.tokens import PATH, TASKS, Open, make
from tests.machine_clock import wait_until
from todo.auth.tokens import LEEWAY_S


def issue(user: str, at: int) -> str:
    """Issue a JSON Web Token by a clock that shows another time."""
    return jwt.encode({"sub": user, "iat": at, "exp": at + 600}, SECRET, "HS256")


def find_shown(client: httpx.Client, token_id: str) -> dict[str, Any]:
    return next(each for each in client.get(PATH).json()["items"] if each["id"] == token_id)


def wait_for_use(client: httpx.Client, token_id: str) -> datetime:
    while (shown := find_shown(client, token_id))["last_used_at"] is None:
        time.sleep(0.5)
    return datetime.fromisoformat(shown["last_used_at"])


def test_the_last_use_of_a_token_is_shown(owner: httpx.Client, connect: Open) -> None:
    used, unused = make(owner, "read"), make(owner, "read")
    before = datetime.now(UTC)

    assert connect(used["token"]).get(TASKS).status_code == 200

    assert before <= wait_for_use(owner, used["id"]) <= datetime.now(UTC)
    assert find_shown(owner, unused["id"])["last_used_at"] is None
    assert connect(unused["token"][:-1] + "!").get(TASKS).status_code == 401
    assert find_shown(owner, unused["id"])["last_used_at"] is None


def test_a_use_within_a_minute_of_the_last_one_is_not_stored(
    service: Service, owner: httpx.Client, connect: Open
) -> None:
    token = make(owner, "read")
    client = connect(token["token"])

    def use_after(age_s: int) -> tuple[str, Callable[[], str]]:
        text = (datetime.now(UTC) - timedelta(seconds=age_s)).isoformat(timespec="microseconds")
        change = "UPDATE api_token SET last_used_at = ? WHERE id = ?"
        run_sql(service, change, text, token["id"])
        assert client.get(TASKS).status_code == 200
        return text, lambda: str(find_shown(owner, token["id"])["last_used_at"])

    before, find_stored = use_after(61)
    again_at = time.monotonic() + 70
    # Seldom enough for the rate limit, however long it takes.
    while datetime.fromisoformat(find_stored()) == datetime.fromisoformat(before):
        if time.monotonic() > again_at:
            # A database that was busy has lost the use; after a minute, another one is stored.
            assert client.get(TASKS).status_code == 200
            again_at += 70
        time.sleep(0.5)
    before, find_stored = use_after(10)
    # Longer than a use waits before it is stored.
    time.sleep(1)
    assert datetime.fromisoformat(find_stored()) == datetime.fromisoformat(before)


def test_an_operator_lists_the_tokens_of_a_user(
    service: Service, owner: httpx.Client, connect: Open, user: str
) -> None:
    end = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    made = make(owner, "read", "write", name="tidy\x1b[2J", expires_at=end)
    make(owner, "admin", name="second")
    connect(made["token"]).get(TASKS)
    used = wait_for_use(owner, made["id"])

    done = call_admin(service.environment, "tokens", "--owner", user)
    heading, second, first = done.stdout.splitlines()

    assert (done.returncode, done.stderr) == (0, "")
    assert heading.split() == [
        "id",
        "owner",
        "name",
        "scopes",
        "created",
        "expires",
        "last",
        "used",
    ]
    assert second.split()[1:4] == [user, "second", "admin"]
    assert second.split()[-2:] == ["never", "never"]
    assert first.startswith(f"{made['id']}  {user}  tidy\ufffd[2J  read write  ")
    assert first.endswith(f"  {end[:19]}Z  {used.isoformat()[:19]}Z")
    as_json = call_admin(service.environment, "tokens", "--owner", user, "--json").stdout
    assert [json.loads(line)["name"] for line in as_json.splitlines()] == ["second", made["name"]]
    assert made["token"][38:] not in done.stdout + as_json
    everybody = call_admin(service.environment, "tokens").stdout
    assert made["id"] in everybody
    assert call_admin(service.environment, "tokens", "--owner", "x").stdout == "no API tokens\n"


def test_an_operator_revokes_tokens_and_the_journal_says_so(
    service: Service, owner: httpx.Client, connect: Open, user: str
) -> None:
    one, two, three = (make(owner, name=f"n{number}") for number in range(3))

    unknown = call_admin(service.environment, "revoke", one["id"], "todo_x")
    assert (unknown.returncode, unknown.stdout) == (64, "")
    assert "unknown API token todo_x" in unknown.stderr
    assert connect(one["token"]).get(TASKS).status_code == 200

    done = call_admin(service.environment, "revoke", one["id"].replace("-", ""))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"revoked {one['id']} (n0, of {user})\n"
    assert connect(one["token"]).get(TASKS).status_code == 401
    assert connect(two["token"]).get(TASKS).status_code == 200

    done = call_admin(service.environment, "revoke", "--owner", user)
    assert done.stdout.count("revoked") == 2
    for token in (two, three):
        assert connect(token["token"]).get(TASKS).status_code == 401
    again = call_admin(service.environment, "revoke", "--owner", user)
    assert (again.returncode, again.stdout) == (0, f"{user} has no API tokens\n")
    entries = run_sql(
        service, "SELECT operation, agent FROM journal WHERE owner = ? ORDER BY seq", user
    )
    assert entries == [("create", None)] * 3 + [("delete", "todo.admin revoke")] * 3
    verified = call_admin(service.environment, "verify", "--owner", user)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_an_operator_ends_everything_that_a_user_has(
    service: Service, owner: httpx.Client, connect: Open, user: str
) -> None:
    api_token = make(owner, name="agent")
    other = connect(service.token(f"other-{user}"))
    fast = connect(issue(user, int(time.time()) + LEEWAY_S - 1))
    assert fast.get(TASKS).status_code == 200
    with owner.stream("GET", "/api/v1/events") as events:
        lines = events.iter_lines()
        assert next(lines).startswith("retry:")

        done = call_admin(service.environment, "revoke", "--owner", user, "--jwt")

        assert (done.returncode, done.stderr) == (0, "")
        revoked, ended, when, wait = done.stdout.splitlines()
        assert revoked == f"revoked {api_token['id']} (agent, of {user})"
        assert ended.startswith(f"revoked the JSON Web Tokens of {user} issued up to 20")
        assert when == "running backends reject them within 5 seconds"
        found = re.fullmatch(rf"{user} can sign in again in (\d+) seconds", wait)
        assert found
        assert int(found[1]) <= LEEWAY_S + 2
        cutoff = datetime.fromisoformat(ended.rpartition(" ")[2])
        again = connect(issue(user, int(cutoff.timestamp()) + 1))
        while (answer := owner.get(TASKS)).status_code == 200:
            time.sleep(0.05)
        assert answer.status_code == 401
        assert fast.get(TASKS).status_code == 401
        assert connect(api_token["token"]).get(TASKS).status_code == 401
        # A stream asks from time to time whether its token is still good.
        for _ in lines:
            pass
    # Its time is up to two seconds further than a backend accepts.
    wait_until(lambda: again.get(TASKS).status_code == 200, "signed in", within_s=START_TIMEOUT_S)
    assert other.get(TASKS).status_code == 200
    entries = again.get("/api/v1/journal").json()["items"]
    assert [(each["operation"], each["kind"], each["id"]) for each in entries[:2]] == [
        ("delete", "token", "jwt"),
        ("delete", "token", api_token["id"]),
    ]
    assert entries[0]["agent"] == "todo.admin revoke"
    assert entries[0]["before"]["issued_until"].startswith(ended[-20:-1])
    verified = call_admin(service.environment, "verify", "--owner", user)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_revoking_the_tokens_of_an_unknown_user_makes_no_account(
    service: Service, user: str
) -> None:
    done = call_admin(service.environment, "revoke", "--owner", user)

    assert (done.returncode, done.stdout) == (0, f"{user} has no API tokens\n")
    assert run_sql(service, "SELECT 1 FROM account WHERE owner = ?", user) == []


def test_an_ended_token_makes_no_api_token_before_the_process_knows(
    service: Service, owner: httpx.Client, user: str
) -> None:
    make(owner)
    # The process has just read the cutoffs.
    cutoff = (datetime.now(UTC) + timedelta(seconds=1)).isoformat(timespec="microseconds")
    run_sql(service, "INSERT INTO token_cutoff (user_id, cutoff_at) VALUES (?, ?)", user, cutoff)

    answer = owner.post(PATH, json={"name": "n", "scopes": ["admin"]})

    assert answer.status_code == 401
    assert run_sql(service, "SELECT count(*) FROM api_token WHERE owner = ?", user) == [(1,)]


def test_a_token_that_is_made_during_the_command_is_revoked_too(
    postgres_service: Service, user: str
) -> None:
    service = postgres_service
    url = service.environment["TODO_DATABASE_URL"].replace("+psycopg", "")
    waiting = (
        "SELECT 1 FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with (
        service.client(service.token(user)) as owner,
        service.client(service.token(f"other-{user}")) as other,
        ThreadPoolExecutor(1) as thread,
        psycopg.connect(url) as writer,
    ):
        one, two = make(owner), make(other)
        writer.execute("SELECT 1 FROM account WHERE owner = %s FOR UPDATE", [user])
        command = ("revoke", "--owner", user, "--jwt")
        revoking = thread.submit(run_admin, service.environment, *command)
        wait_until(lambda: run_sql(service, waiting), "waits", within_s=START_TIMEOUT_S)
        writer.execute("UPDATE api_token SET owner = %s WHERE id = %s", [user, two["id"]])
        writer.commit()

        done = revoking.result()

    assert (done.returncode, done.stderr) == (0, "")
    assert {f"revoked {each['id']}" in done.stdout for each in (one, two)} == {True}
    assert run_sql(service, "SELECT 1 FROM api_token WHERE owner = ?", user) == []


def test_ending_tokens_of_a_user_without_an_account_keeps_the_latest_time(
    service: Service, user: str
) -> None:
    for _ in range(2):
        assert call_admin(service.environment, "revoke", "--owner", user, "--jwt").returncode == 0
    ((first,),) = run_sql(service, "SELECT cutoff_at FROM token_cutoff WHERE user_id = ?", user)
    later = "UPDATE token_cutoff SET cutoff_at = ? WHERE user_id = ?"
    run_sql(service, later, "2999-01-01T00:00:00.000000+00:00", user)
    done = call_admin(service.environment, "revoke", "--owner", user, "--jwt")
    assert done.returncode == 0
    assert f"of {user} issued up to 2999-01-01T00:00:00Z\n" in done.stdout

    ((last,),) = run_sql(service, "SELECT cutoff_at FROM token_cutoff WHERE user_id = ?", user)
    assert str(first).startswith("202")
    assert str(last).startswith("2999")


def test_json_web_tokens_are_ended_of_a_user_and_not_by_id(
    service: Service, owner: httpx.Client
) -> None:
    done = call_admin(service.environment, "revoke", make(owner)["id"], "--jwt")

    assert (done.returncode, done.stdout) == (64, "")
    assert "--jwt requires --owner USER" in done.stderr


def test_an_operator_makes_an_api_token_for_a_user(service: Service, connect: Open) -> None:
    user = f"new {time.monotonic_ns()}"
    words = ["--subject", user, "--name", " night shift ", "--days", "2", "--writes-per-hour", "1"]
    made = call_admin(service.environment, "token", *words, "--scope=write", "--scope=read")

    assert (made.returncode, made.stderr) == (0, "")
    client = connect(made.stdout.strip())
    assert client.post(TASKS, json={"title": "one"}).status_code == 201
    assert client.post(TASKS, json={"title": "two"}).status_code == 429
    assert client.get(PATH).status_code == 403
    (shown,) = connect(service.token(user)).get(PATH).json()["items"]
    assert (shown["name"], shown["scopes"]) == ("night shift", ["read", "write"])
    ends = datetime.fromisoformat(shown["expires_at"]) - datetime.fromisoformat(shown["created_at"])
    assert abs(ends - timedelta(days=2)) < timedelta(minutes=10)
