from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from todo.assistant.model.exchange import find_retry_after


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        (" 30 ", 30.0),
        ("99999999999999999999", 300.0),
        # Each of the processes that run the tests has another time.
        pytest.param(
            format_datetime(datetime.now(UTC) + timedelta(days=9), usegmt=True), 300.0, id="later"
        ),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("٣", None),
        ("", None),
        (None, None),
    ],
)
def test_the_time_to_come_back_is_read_within_reason(
    value: str | None, seconds: float | None
) -> None:
    assert find_retry_after(value) == seconds
