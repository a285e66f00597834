from datetime import UTC, datetime

import pytest

from tests.unit.todo.quickadd.random_rules import make_rules, make_usual_rules
from todo.core.domain import RecurrenceFrom
from todo.quickadd.parser import parse_recurrence
from todo.quickadd.words import describe_rule
from todo.schedule.rule import Rule, read_rule

NOW = datetime(2026, 11, 29, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("FREQ=DAILY", "every day"),
        ("FREQ=DAILY;COUNT=10", "every day, 10 times"),
        ("FREQ=DAILY;INTERVAL=3;COUNT=1", "every 3 days, 1 time"),
        ("FREQ=WEEKLY", "every week"),
        ("FREQ=WEEKLY;BYDAY=FR", "every Friday"),
        ("FREQ=WEEKLY;BYDAY=MO,WE,FR", "every Monday, Wednesday and Friday"),
        ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "every weekday"),
        ("FREQ=WEEKLY;BYDAY=SA,SU", "every weekend"),
        (
            "FREQ=WEEKLY;INTERVAL=2;UNTIL=20270331;BYDAY=MO,TH",
            "every 2 weeks on Monday and Thursday until 31 March 2027",
        ),
        ("FREQ=WEEKLY;BYMONTH=6,7;BYDAY=FR", "every Friday in June and July"),
        (
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU",
            "every 2 weeks on Monday and Sunday with weeks from Sunday",
        ),
        (
            "FREQ=DAILY;UNTIL=20270331T215959Z;BYDAY=MO,TU,WE,TH,FR",
            "every day on weekdays until 31 March 2027 at 21:59:59 UTC",
        ),
        ("FREQ=MONTHLY;INTERVAL=6", "every 6 months"),
        ("FREQ=MONTHLY;BYMONTHDAY=1,15", "every month on the 1st and 15th"),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", "every last day of the month"),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "every last weekday of the month"),
        ("FREQ=MONTHLY;BYDAY=-1FR,1MO", "every month on the last Friday and first Monday"),
        ("FREQ=MONTHLY;BYMONTHDAY=-2", "every month on the 2nd to last day"),
        ("FREQ=MONTHLY;BYDAY=3WE", "every third Wednesday of the month"),
        ("FREQ=MONTHLY;INTERVAL=2;BYDAY=-1FR", "every 2 months on the last Friday"),
        ("FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=15", "every year on 15 March"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "every year on the 30th of February"),
        ("FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU", "every year on the last Sunday of March"),
        ("FREQ=YEARLY;BYMONTH=1,7;BYMONTHDAY=1", "every year on the 1st of January and July"),
        ("FREQ=DAILY;UNTIL=99981231", "every day until 31 December 9998"),
        ("FREQ=DAILY;UNTIL=99991231", "RRULE:FREQ=DAILY;UNTIL=99991231"),
        ("FREQ=YEARLY;BYYEARDAY=-366,100", "RRULE:FREQ=YEARLY;BYYEARDAY=-366,100"),
    ],
)
def test_a_rule_is_said_as_people_say_it(rule: str, words: str) -> None:
    assert describe_rule(read_rule(rule)) == words


def test_a_rule_counted_from_completion_says_so() -> None:
    rule = read_rule("FREQ=DAILY;INTERVAL=3;UNTIL=20270331")

    words = describe_rule(rule, "completion")

    assert words == "every 3 days after completion until 31 March 2027"


def check(rule: Rule, basis: RecurrenceFrom) -> None:
    words = describe_rule(rule, basis)
    try:
        found = parse_recurrence(words, NOW, UTC)
    except ValueError as error:
        pytest.fail(f"{rule}: {words!r}: {error}")
    assert found == (str(rule), basis), words


def test_the_words_of_any_rule_are_read_as_the_same_rule() -> None:
    for number, rule in enumerate(make_rules(seed=13, count=4000)):
        check(rule, "completion" if number % 3 == 0 else "schedule")


def test_the_rules_of_people_are_in_words_and_read_as_the_same_rule() -> None:
    for number, rule in enumerate(make_usual_rules(seed=13, count=4000)):
        check(rule, "completion" if number % 3 == 0 else "schedule")
        assert not describe_rule(rule).startswith("RRULE:"), rule
