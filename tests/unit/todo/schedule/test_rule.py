import time

import pytest

from todo.schedule.rule import MAX_LENGTH
from todo.schedule.series import parse_rule


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("FREQ=DAILY", "FREQ=DAILY"),
        (" rrule:freq=weekly;byday=fr,mo,fr ", "FREQ=WEEKLY;BYDAY=MO,FR"),
        ("INTERVAL=1;FREQ=MONTHLY;WKST=MO", "FREQ=MONTHLY"),
        ("FREQ=MONTHLY;BYDAY=-1FR,+2MO", "FREQ=MONTHLY;BYDAY=-1FR,2MO"),
        ("FREQ=MONTHLY;BYSETPOS=-1;BYDAY=MO,TU,WE,TH,FR", None),
        ("FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2;BYMONTHDAY=-1,15", None),
        ("FREQ=YEARLY;BYWEEKNO=-1,53;BYDAY=MO;WKST=SU", None),
        ("FREQ=YEARLY;BYYEARDAY=-366,366", None),
        ("FREQ=DAILY;UNTIL=20261231", "FREQ=DAILY;UNTIL=20261231"),
        ("FREQ=DAILY;UNTIL=20261231T225900Z", None),
        ("FREQ=DAILY;BYHOUR=2", "FREQ=DAILY;BYHOUR=2;BYMINUTE=0;BYSECOND=0"),
        ("FREQ=DAILY;BYHOUR=2;BYSECOND=60", "FREQ=DAILY;BYHOUR=2;BYMINUTE=0;BYSECOND=59"),
    ],
)
def test_a_rule_has_one_way_to_be_written(text: str, normal: str | None) -> None:
    rule = parse_rule(text)

    if normal is not None:
        assert str(rule) == normal
    assert parse_rule(str(rule)) == rule


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a rule part"),
        ("every day", "not a rule part"),
        ("FREQ=DAILY;", "not a rule part"),
        ("INTERVAL=2", "FREQ is missing"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ occurs twice"),
        ("FREQ=SECONDLY", "supported frequencies are DAILY, WEEKLY, MONTHLY, YEARLY"),
        ("FREQ=HOURLY", "supported frequencies are"),
        ("FREQ=DAILY\nEXDATE:20260101", "supported frequencies are"),
        ("FREQ=DAILY;INTERVAL=0", "from 1 to 1000"),
        ("FREQ=DAILY;INTERVAL=1001", "from 1 to 1000"),
        ("FREQ=DAILY;INTERVAL=1_0", "from 1 to 1000"),
        ("FREQ=DAILY;INTERVAL=٣", "from 1 to 1000"),
        ("FREQ=DAILY;COUNT=-1", "from 1 to 100000"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20261231", "mutually exclusive"),
        ("FREQ=DAILY;UNTIL=20261301", 'UNTIL="20261301": must be a date'),
        ("FREQ=DAILY;UNTIL=20261231T120000", "or a UTC time"),
        ("FREQ=DAILY;BYEASTER=0", "not part of RFC 5545"),
        ("FREQ=MONTHLY;RSCALE=CHINESE", "Gregorian"),
        ("FREQ=MONTHLY;X-OWN=1", "known rule parts are FREQ, INTERVAL"),
        ("FREQ=DAILY;BYHOUR=9,17", 'BYHOUR="9,17"'),
        ("FREQ=DAILY;BYMINUTE=0", "require BYHOUR"),
        ("FREQ=WEEKLY;BYDAY=XX", "each must be one of MO"),
        ("FREQ=MONTHLY;BYDAY=0MO", "each must be one of MO"),
        ("FREQ=WEEKLY;BYDAY=1MO", "requires FREQ=MONTHLY or FREQ=YEARLY"),
        ("FREQ=MONTHLY;BYDAY=6MO", "at most 5 times"),
        ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=1MO", "cannot be used with BYWEEKNO"),
        ("FREQ=MONTHLY;BYWEEKNO=20", "requires FREQ=YEARLY"),
        ("FREQ=DAILY;BYYEARDAY=20", "requires FREQ=YEARLY"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "cannot be used with FREQ=WEEKLY"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", 'BYMONTHDAY="32"'),
        ("FREQ=YEARLY;BYMONTH=-1", 'BYMONTH="-1"'),
        ("FREQ=DAILY;BYSETPOS=1", "another part that selects days"),
        ("FREQ=WEEKLY;WKST=MON", 'WKST="MON"'),
        ("FREQ=DAILY;" + "BYDAY=" + "MO," * MAX_LENGTH, "at most 512 characters"),
    ],
)
def test_what_tasks_cannot_have_is_refused_by_name(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_rule(text)


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTH=2,4,6,9,11;BYMONTHDAY=31",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=WEEKLY;BYDAY=MO,TU;BYSETPOS=3",
        "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6",
        "FREQ=YEARLY;BYYEARDAY=366;BYMONTH=1",
    ],
)
def test_a_rule_that_never_occurs_is_refused_soon(text: str) -> None:
    begin = time.process_time()

    with pytest.raises(ValueError, match="never occurs, because no day matches all parts"):
        parse_rule(text)

    assert time.process_time() - begin < 1


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=SU",
        "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO;BYMONTH=12",
        "FREQ=YEARLY;BYYEARDAY=366;BYDAY=WE",
    ],
)
def test_a_rule_that_seldom_occurs_is_a_rule(text: str) -> None:
    assert str(parse_rule(text)).startswith("FREQ=")
