"""The script that restores a backup, with a real server that is written to."""

import socket

import pytest

from tests.integration.backup.backup_source import Source


def test_the_end_is_in_the_unfinished_wal_file(source: Source) -> None:
    source.backup.switch_wal()
    source.write("in the unfinished WAL file")
    source.backup.catch_up()
    expected = source.hash()
    assert {"journal", "task"} <= expected.keys()
    with source.backup.restored() as copy:
        assert source.hash(copy) == expected


def test_a_time_a_named_point_and_the_moment_before_a_transaction(source: Source) -> None:
    expected = source.hash()
    (at,) = source.ask("SELECT clock_timestamp()")
    source.cluster.query(f"/{source.database}?", "SELECT pg_create_restore_point('it''s here')")
    source.write("by an agent", run="nightly")
    source.write("also by the agent", run="nightly")
    source.write("after the agent")
    source.backup.catch_up()
    first = "SELECT xmin FROM journal WHERE run_id = 'nightly' ORDER BY seq LIMIT 1"
    for options in (["--time", at], ["--name", "it's here"], ["--before", *source.ask(first)]):
        with source.backup.restored(*options) as copy:
            assert source.hash(copy) == expected, options


def test_a_time_after_the_last_transaction_is_the_end(source: Source) -> None:
    source.backup.catch_up()
    expected = source.hash()
    with source.backup.restored("--time", "2999-01-01 00:00:00+00") as copy:
        assert source.hash(copy) == expected


def test_an_older_base_backup_is_used_for_what_was_before_the_newest(source: Source) -> None:
    expected = source.hash()
    limit = source.backup.pass_second()
    (at,) = source.ask("SELECT clock_timestamp()")
    source.cluster.query(f"/{source.database}?", "SELECT pg_create_restore_point('early')")
    source.write("later")
    newest = source.backup.take_base()
    source.write("after the newest base backup")
    source.backup.catch_up()
    for options in (["--time", at, "--ended-before", limit], ["--name", "early"]):
        with source.backup.restored(*options) as copy:
            assert source.hash(copy) == expected, options
    _, done = source.backup.restore("--name", "late")
    assert (done.returncode, done.stderr) == (66, "restore: the backup has no restore point late\n")
    _, done = source.backup.restore("--before", "3")
    message = "restore: the backup does not reach back to the target\n"
    assert (done.returncode, done.stderr) == (66, message)
    _, done = source.backup.restore("--ended-before", "2020-01-01T00:00:00Z")
    message = "restore: the backup has no base backup that ended before 2020-01-01T00:00:00Z\n"
    assert (done.returncode, done.stderr) == (69, message)
    _, done = source.backup.restore()
    assert done.stdout.startswith(f"base={newest}\nlast=2")


def test_a_base_backup_is_restored_by_itself_without_any_wal_besides_its_own(
    source: Source,
) -> None:
    expected = source.hash()
    stamp = source.backup.take_base()
    source.write("after it")
    source.backup.leave()
    for path in (source.backup.folder / "wal").iterdir():
        path.unlink()
    with source.backup.restored("--base", stamp) as copy:
        assert source.hash(copy) == expected
    _, done = source.backup.restore("--base", "20200101T000000Z")
    message = "restore: the backup has no base backup 20200101T000000Z\n"
    assert (done.returncode, done.stderr) == (69, message)


def test_a_missing_wal_file_is_named(source: Source) -> None:
    missing = source.backup.switch_wal()
    source.cluster.query(f"/{source.database}?", "SELECT pg_create_restore_point('behind')")
    source.write("behind the missing WAL file")
    source.backup.catch_up()
    source.lose(missing)
    root, done = source.backup.restore()
    message = f"restore: WAL file {missing} is missing in the backup"
    assert (done.returncode, done.stderr.partition(":")[0]) == (65, "restore")
    assert done.stderr == f"{message}: nothing after it can be restored\n"
    assert not (root / "data").exists()
    _, done = source.backup.restore("--name", "behind")
    assert (done.returncode, done.stderr) == (65, f"{message}, and the target is not before it\n")
    _, done = source.backup.restore("--time", "2999-01-01 00:00:00+00")
    assert (done.returncode, done.stderr.startswith(message)) == (65, True)


def test_what_is_before_a_missing_wal_file_can_be_restored(source: Source) -> None:
    source.backup.switch_wal()
    expected = source.hash()
    (at,) = source.ask("SELECT clock_timestamp()")
    source.write("before the missing WAL file")
    source.backup.switch_wal()
    source.write("in the missing WAL file")
    missing = source.backup.switch_wal()
    source.write("behind it")
    source.backup.catch_up()
    source.lose(missing)
    with source.backup.restored("--time", at) as copy:
        assert source.hash(copy) == expected
    with source.backup.restored("--accept-gap") as copy:
        assert source.titles(copy)[-1] == "before the missing WAL file"


@pytest.mark.parametrize("damage", ["altered", "truncated", "removed"])
def test_a_damaged_base_backup_is_named_with_its_file(source: Source, damage: str) -> None:
    stamp = source.backup.take_base()
    source.backup.catch_up()
    found = source.ask("SELECT pg_relation_filepath('journal')")[0]
    path = source.backup.folder / "base" / stamp / found
    content = path.read_bytes()
    if damage == "removed":
        path.unlink()
    else:
        path.write_bytes(content[:-1] + (b"\x55" if damage == "altered" else b""))
    root, done = source.backup.restore()
    assert done.returncode == 65
    assert done.stderr.startswith(f"restore: base backup {stamp} is damaged: ")
    assert found in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(root.iterdir()) == []


def test_a_base_backup_of_another_major_version_is_refused(source: Source) -> None:
    stamp = source.backup.take_base()
    version = source.backup.folder / "base" / stamp / "PG_VERSION"
    running = version.read_text().strip()
    version.write_text("9\n")
    _, done = source.backup.restore()
    message = f"base backup {stamp} is of PostgreSQL 9, and this stack runs PostgreSQL {running}"
    assert (done.returncode, done.stderr) == (78, f"restore: {message}\n")


def test_a_backup_of_a_restored_server_is_restored_along_its_timeline(source: Source) -> None:
    source.cluster.query(f"/{source.database}?", "SELECT pg_create_restore_point('here')")
    source.backup.switch_wal()
    # Of what is given up: the newest base backup, and of no use afterwards.
    source.backup.take_base()
    source.backup.catch_up()
    with source.backup.restored("--name", "here") as copy:
        other = Source(copy, source.database, source.alice, source.backup)
        copy.query(f"/{source.database}?", "CREATE TABLE second (x int)")
        source.backup.leave()
        # As todo-wal does on a server without its slot.
        (source.backup.folder / "wal").rename(source.backup.folder / "wal.20260101T000000Z")
        source.backup.follow(copy)
        first = source.backup.switch_wal()
        copy.query(f"/{source.database}?", "INSERT INTO second VALUES (1)")
        source.backup.catch_up()
        expected = other.hash()
        assert first.startswith("00000002")
        with source.backup.restored() as again:
            assert source.hash(again) == expected
        (source.backup.folder / "wal" / first).unlink()
        _, done = source.backup.restore()
        assert done.stderr.startswith(f"restore: WAL file {first} is missing in the backup")


def test_what_an_interrupted_restore_left_is_replaced(source: Source) -> None:
    source.backup.catch_up()
    root, _ = source.backup.restore("--name", "nowhere")
    (root / "data.new").mkdir()
    (root / "data.new" / "PG_VERSION").write_text("half")
    source.backup.give(root)
    assert source.backup.restore_into(root).returncode == 0
    assert sorted(path.name for path in root.iterdir()) == ["data"]
    done = source.backup.restore_into(root)
    assert (done.returncode, done.stderr) == (2, f"restore: {root}/data is there already\n")


def test_the_server_that_replays_says_nothing_to_systemd(
    source: Source,
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        # An empty address lets the kernel choose one without a file.
        notified.bind("")
        source.backup.notify_socket = notified.getsockname().decode().replace("\0", "@")
        _, done = source.backup.restore()
        assert done.returncode == 0, done.stderr
        notified.settimeout(0)
        with pytest.raises(BlockingIOError):
            notified.recv(4096)
