import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from todo.api.rate_buckets import Bucket, Buckets, LocalBuckets, SharedBuckets, open_buckets
from todo.api.rate_limit import RateLimit
from todo.core.errors import RateLimitedError
from todo.core.exit import ExitCode, FatalError

Open = Callable[[Path], Buckets]
KINDS: list[Open] = [lambda _file: LocalBuckets(), lambda file: SharedBuckets(file, "token")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".limits"


@pytest.mark.parametrize("make", KINDS, ids=["local", "shared"])
def test_what_is_stored_is_found(make: Open, file: Path) -> None:
    buckets = make(file)
    assert buckets.find("alice") is None
    with buckets.lock:
        buckets.store("alice", Bucket(1.5, 7.0))
        buckets.store("bob\udc80", Bucket(-2.0, 8.0))
        buckets.store("alice", Bucket(0.5, 9.0))
    assert buckets.find("alice") == Bucket(0.5, 9.0)
    assert buckets.find("bob\udc80") == Bucket(-2.0, 8.0)


@pytest.mark.parametrize("make", KINDS, ids=["local", "shared"])
def test_many_keys_do_not_forget_the_one_that_is_used(make: Open, file: Path) -> None:
    buckets = make(file)
    for number in range(60_000):
        buckets.store(f"address {number}", Bucket(1.0, float(number)))
        if not number % 1000:
            buckets.store("in use", Bucket(0.0, float(number)))
    assert buckets.find("in use") == Bucket(0.0, 59_000.0)
    assert buckets.find("address 59999") == Bucket(1.0, 59_999.0)
    found = [n for n in range(60_000) if buckets.find(f"address {n}") is not None]
    assert 5_000 < len(found) < 40_000


def test_processes_share_the_buckets_of_a_limit_and_not_those_of_another(file: Path) -> None:
    mine, theirs = (RateLimit("token", 3, buckets=SharedBuckets(file, "token")) for _ in range(2))
    other = RateLimit("address", 3, buckets=SharedBuckets(file, "address"))

    for limit in (mine, theirs, mine):
        limit.take("alice")
    with pytest.raises(RateLimitedError):
        theirs.take("alice")
    other.take("alice")
    assert file.stat().st_mode & 0o777 == 0o600


def _take_all(file: Path, permits: int) -> int:
    taken = 0
    limit = RateLimit("token", permits, window_s=10**9, buckets=SharedBuckets(file, "token"))
    for _ in range(permits):
        try:
            limit.take("alice")
        except RateLimitedError:
            break
        taken += 1
    return taken


def test_processes_at_the_same_time_take_hardly_more_than_there_is(file: Path) -> None:
    permits = 5_000
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        taken = pool.starmap(_take_all, [(file, permits)] * 3)
    # Nobody waits long for the lock, so a permit is taken twice now and then.
    assert permits <= sum(taken) < 1.5 * permits


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_process_that_keeps_the_lock_holds_nobody_up(file: Path) -> None:
    limit = RateLimit("token", 2, buckets=SharedBuckets(file, "token"))
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        limit.take("alice")
        limit.take("alice")
        with pytest.raises(RateLimitedError):
            limit.take("alice")


def test_buckets_from_before_a_boot_are_full(file: Path) -> None:
    # The clock of a machine starts anew with it.
    SharedBuckets(file, "token").store("alice", Bucket(-100.0, 1e9))
    limit = RateLimit("token", 2, clock=lambda: 5.0, buckets=SharedBuckets(file, "token"))
    limit.take("alice")
    assert limit.find_left("alice") == 1


def test_one_instance_has_buckets_of_its_own(tmp_path: Path) -> None:
    assert isinstance(open_buckets(None, "token"), LocalBuckets)
    assert isinstance(open_buckets(tmp_path / "1", "token"), SharedBuckets)
    assert [each.name for each in tmp_path.iterdir()] == [".limits"]
    with pytest.raises(FatalError) as caught:
        open_buckets(tmp_path / "missing" / "1", "token")
    assert caught.value.code == ExitCode.CONFIGURATION
    assert "TODO_INSTANCE_FILE: cannot open" in caught.value.message
