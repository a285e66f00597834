"""One client must not stop the others: attacks on connections.

They are small in a usual run and ten times as large with `ATTACK_SCALE=10`. With `-s` each test
prints what it measured.
"""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator

import pytest

from tests.integration import attacks
from tests.integration.attacks import SCALE
from tests.integration.overload import Report, Watch
from tests.integration.service import Service, open_service
from tests.machine_clock import CLOCK

LIVEZ_S = 2.0
"""Seconds on `CLOCK`; they took 15."""
BODIES_OF_USER = 8


@pytest.fixture
def attacked() -> Iterator[Service]:
    """A service of its own, whose memory and processor time nobody else uses."""
    with open_service({}) as service:
        service.wait_ready()
        yield service


def note(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def check(report: Report, *, grown_mib: float) -> None:
    """Check that nobody else was held up, and that the memory has an end."""
    before, peak, _after = report.rss_mib
    assert (report.livez_failed, report.failed_probes) == (0, 0)
    assert report.livez_worst_s < LIVEZ_S
    assert peak - before < grown_mib


def test_slow_bodies_without_a_token_are_not_read(attacked: Service) -> None:
    with Watch(attacked, f"{25 * SCALE} slow bodies") as watch:
        answers = attacks.send_slow_bodies(attacked, "", 25 * SCALE, keep=0)

    assert {answer.split()[1] for answer in answers if answer} == {b"401"}
    check(watch.report, grown_mib=24)


def test_slow_bodies_of_one_user_have_a_budget(attacked: Service) -> None:
    count = 25 * SCALE
    with Watch(attacked, f"{count} slow bodies with a token") as watch:
        token = attacked.token()
        answers = attacks.send_slow_bodies(attacked, token, count, keep=BODIES_OF_USER)

    # On a slow machine the time of the others may have ended as well.
    assert {b"429"} <= {answer.split()[1] for answer in answers if answer} <= {b"408", b"429"}
    check(watch.report, grown_mib=64)


def test_silent_connections_keep_nobody_out(attacked: Service) -> None:
    watch = Watch(attacked, f"{50 * SCALE} silent connections")
    with watch, attacks.open_silently(attacked, 50 * SCALE):
        attacks.ask(attacked)

    check(watch.report, grown_mib=24)


def test_parts_of_requests_keep_nobody_out(attacked: Service) -> None:
    part = b"POST /api/v1/tasks HTTP/1.1\r\nHost: todo\r\n"
    token = f"Authorization: Bearer {attacked.token()}\r\nContent-Length: 9\r\n\r\n".encode()
    watch = Watch(attacked, f"{50 * SCALE} parts of requests")
    with watch, attacks.open_silently(attacked, 50 * SCALE) as clients:
        for number, client in enumerate(clients):
            client.sendall(part if number % 2 else part + token)
        attacks.ask(attacked)

    check(watch.report, grown_mib=24)


def test_a_head_byte_by_byte_costs_little(attacked: Service) -> None:
    before_s = attacks.read_cpu_s(attacked)
    size = 1600 * min(SCALE, 10)
    attacks.send_byte_by_byte(attacked, size)
    attacks.ask(attacked)
    cpu_s = attacks.read_cpu_s(attacked) - before_s
    note(f"\na head of {size} bytes, byte by byte: {cpu_s:.2f} s of processor time")

    # In proportion to its length: a whole one took 2.5 s.
    assert cpu_s < 0.3 * SCALE + 1


def test_refused_handshakes_do_not_hold_up_a_stop() -> None:
    # Only what keeps a stop waiting meets it.
    deadline_s = 600
    options = {"TODO_SHUTDOWN_DEADLINE_S": str(deadline_s)}
    with open_service(options) as service, contextlib.ExitStack() as stack:
        service.wait_ready()
        clients = stack.enter_context(attacks.open_silently(service, 6 * SCALE))
        attacks.shake_in_vain(clients)
        began, began_on_clock = time.monotonic(), CLOCK.now()
        assert service.stop(signal.SIGTERM) == 0
        note(f"\n{len(clients)} refused handshakes: stopped after {time.monotonic() - began:.2f} s")
        assert CLOCK.now() - began_on_clock < 60
