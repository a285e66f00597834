"""The instrument of the attack tests sees what it is for."""

import signal
import time

from tests.integration.overload import Report, Watch
from tests.integration.service import Service, open_service

HANG_S = 5
"""A probe finds that an idle server hangs after one second."""


def hang(service: Service, seconds: float) -> None:
    service.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    service.process.send_signal(signal.SIGCONT)


def test_a_service_that_hangs_is_seen_by_livez_and_by_the_probe() -> None:
    with open_service({}) as service:
        service.wait_ready()
        with Watch(service, "none") as quiet:
            time.sleep(0.1)
        with Watch(service, "a stopped process") as watch:
            hang(service, HANG_S)

    assert (quiet.report.failed_probes, quiet.report.livez_failed) == (0, 0)
    assert min(quiet.report.rss_mib) > 10
    assert watch.report.livez_wall_s > HANG_S - 1
    assert watch.report.failed_probes >= 1


def test_two_failures_in_a_row_would_end_the_service() -> None:
    def is_killed(*probes: int) -> bool:
        report = Report("a", 0.0, 0.0, 0, probes, (), (1.0, 1.0, 1.0))
        assert report.is_killed == ("killed" in str(report))
        return report.is_killed

    assert is_killed(0, 1, 1)
    assert not is_killed(1, 0, 1, 0)
