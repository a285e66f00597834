from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from todo.core.timestamps import format_timestamp, is_timestamp

OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
# A day from each end, which an offset could leave.
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=OFFSETS)  # noqa: DTZ001 - Hypothesis adds the zone


@given(MOMENTS)
def test_a_timestamp_is_the_same_instant_in_utc(moment: datetime) -> None:
    text = format_timestamp(moment)
    assert datetime.fromisoformat(text) == moment
    assert is_timestamp(text)


@given(MOMENTS, MOMENTS)
def test_timestamps_compare_as_the_instants_do(first: datetime, second: datetime) -> None:
    assert (format_timestamp(first) < format_timestamp(second)) == (first < second)


@given(MOMENTS)
def test_another_form_of_an_instant_is_not_a_timestamp(moment: datetime) -> None:
    forms = {
        moment.isoformat(),
        moment.isoformat(timespec="seconds"),
        moment.astimezone(UTC).isoformat(),
    }
    for form in forms - {format_timestamp(moment)}:
        assert not is_timestamp(form)


@given(MOMENTS)
def test_other_separators_are_not_those_of_a_timestamp(moment: datetime) -> None:
    text = format_timestamp(moment)
    assert not is_timestamp(text.replace("T", " "))
    assert not is_timestamp(text.replace(".", ","))
