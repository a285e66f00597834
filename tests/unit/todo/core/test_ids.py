import uuid

from hypothesis import given
from hypothesis import strategies as st

from todo.core.ids import new_uuid7

# Up to the year 10889, when 48 bits of milliseconds end.
TIMES_NS = st.integers(min_value=0, max_value=(1 << 48) * 1_000_000 - 1)


@given(TIMES_NS)
def test_an_id_is_version_7_and_holds_its_millisecond(now_ns: int) -> None:
    made = new_uuid7(now_ns)

    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == now_ns // 1_000_000


@given(TIMES_NS, TIMES_NS)
def test_ids_sort_by_time_to_a_quarter_of_a_microsecond(one_ns: int, other_ns: int) -> None:
    early, late = sorted((one_ns, other_ns))
    if late - early > 245:
        assert new_uuid7(early) < new_uuid7(late)


def test_ids_of_one_moment_differ() -> None:
    assert len({new_uuid7(5) for _ in range(1000)}) == 1000
