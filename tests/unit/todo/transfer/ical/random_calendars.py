"""Random tasks and zones of calendar files: mostly common values, some wrong or extreme."""

import random

_NUMBERS = (
    "0",
    "1",
    "2",
    "7",
    "28",
    "31",
    "53",
    "99",
    "366",
    "1000",
    "99999999",
    "-1",
    "-99",
    "x",
    "",
)
_DAYS = (
    "19000101",
    "20240229",
    "20260329",
    "20261025",
    "20270101",
    "99981231",
    "00010101",
    "20260230",
)
_TIMES = ("T000000", "T023000", "T120000Z", "T235960", "T235959Z", "T240000", "T090000", "")
_ZONES = (
    "Europe/Berlin",
    "Pacific/Apia",
    "W. Europe Standard Time",
    "Odd",
    "/a/b/Asia/Tokyo",
    "",
    "//",
)
_DURATIONS = (
    "P1D",
    "P1W",
    "PT24H",
    "P400D",
    "P9999999D",
    "PT99999999H",
    "P1DT2H",
    "PT",
    "P",
    "P1M",
)
_PARTS = {
    "FREQ": (*3 * ("YEARLY", "MONTHLY", "WEEKLY", "DAILY"), "HOURLY", "SECONDLY"),
    "INTERVAL": _NUMBERS,
    "COUNT": _NUMBERS,
    "UNTIL": tuple(day + clock for day in _DAYS for clock in ("", "T000000Z", "T120000")),
    "BYMONTH": ("1", "2", "3", "10", "10", "13", "0", "1,6", "x"),
    "BYMONTHDAY": ("1", "-1", "29", "31", "-31", "1,15", "32", "0"),
    "BYDAY": (
        "MO",
        "SU",
        "MO,FR",
        "-1SU",
        "2MO",
        "5FR",
        "-99SU",
        "53MO",
        "MO,WE",
        "XX",
        "1MO,-1FR",
        "0MO",
    ),
    "BYYEARDAY": ("1", "60", "366", "-366", "367"),
    "BYWEEKNO": ("1", "20", "53", "-53", "54"),
    "BYSETPOS": ("1", "-1", "2", "366", "0"),
    "BYHOUR": ("2", "24", "9,17"),
    "WKST": ("MO", "SU", "TH", "X"),
}
_TEXTS = (
    "t",
    "",
    "two\\nlines",
    "a\\,b\\;c",
    "\N{GREEK SMALL LETTER ALPHA}" * 300,
    "x" * 11_000,
    "\\",
)


class Generator:
    """Makes the same things from the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - not for secrets

    def make_file(self, *, zone: bool) -> bytes:
        """A calendar with one task, and with the zone of its times where that is asked for."""
        self._zone = "Odd" if zone else None
        lines = [*(self._make_zone() if zone else ()), *self.make_task("1")]
        return "\r\n".join(["BEGIN:VCALENDAR", *lines, "END:VCALENDAR", ""]).encode()

    def make_tasks(self, count: int) -> bytes:
        """A calendar with so many tasks and one zone."""
        self._zone = None
        lines = [*self._make_zone()]
        for number in range(count):
            lines += self.make_task(str(number))
        return "\r\n".join(["BEGIN:VCALENDAR", *lines, "END:VCALENDAR", ""]).encode()

    def make_task(self, uid: str) -> list[str]:
        pick, chance = self._random.choice, self._random.random
        lines = ["BEGIN:VTODO", f"UID:{uid}", f"SUMMARY:{pick(_TEXTS)}"]
        lines += [self._make_moment(name) for name in ("DTSTART", "DUE") if chance() < 0.8]
        more = ("CREATED", "LAST-MODIFIED", "COMPLETED")
        lines += [self._make_moment(name) for name in more if chance() < 0.3]
        if chance() < 0.3:
            lines.append(f"DURATION:{pick(('', '-', '+'))}{pick(_DURATIONS)}")
        if chance() < 0.6:
            lines.append(f"RRULE:{self._make_rule(pick(_PARTS['FREQ']))}")
        lines += [
            f"{name}:{pick(_TEXTS)}" for name in ("DESCRIPTION", "CATEGORIES") if chance() < 0.3
        ]
        if chance() < 0.3:
            lines.append(f"STATUS:{pick(('COMPLETED', 'CANCELLED', 'IN-PROCESS', 'x', ''))}")
        if chance() < 0.3:
            lines.append(f"PRIORITY:{pick(_NUMBERS)}")
        if chance() < 0.2:
            lines.append(f"RELATED-TO:{self._random.randrange(int(uid) + 2)}")
        for _ in range(self._random.choice((0, 0, 1, 1, 7))):
            lines += ["BEGIN:VALARM", "ACTION:DISPLAY", self._make_trigger(), "END:VALARM"]
        return [*lines, "END:VTODO"]

    def _make_day(self) -> str:
        if self._random.random() < 0.3:
            return self._random.choice(_DAYS)
        year = self._random.choice((1901, 2026, 2027, 2028, 2100, 9997))
        return f"{year}{self._random.randint(1, 12):02}{self._random.randint(1, 31):02}"

    def _make_moment(self, name: str) -> str:
        clock = self._random.choice(_TIMES)
        if self._zone and clock and not clock.endswith("Z"):
            return f"{name};TZID={self._zone}:{self._make_day()}{clock}"
        zone = self._random.choice(_ZONES)
        parameter = f";TZID={zone}" if zone and self._random.random() < 0.5 else ""
        return f"{name}{parameter}:{self._make_day()}{clock}"

    def _make_trigger(self) -> str:
        if self._random.random() < 0.2:
            return self._make_moment("TRIGGER")
        related = self._random.choice(("", ";RELATED=END", ";RELATED=START"))
        sign = self._random.choice(("-", "-", "", "+"))
        return f"TRIGGER{related}:{sign}{self._random.choice(_DURATIONS)}"

    def _make_rule(self, frequency: str) -> str:
        names = self._random.sample(list(_PARTS), self._random.choice((0, 1, 1, 2, 2, 3, 5)))
        others = [f"{name}={self._random.choice(_PARTS[name])}" for name in names if name != "FREQ"]
        parts = [f"FREQ={frequency}", *others]
        self._random.shuffle(parts)
        return ";".join(parts)

    def _make_zone(self) -> list[str]:
        lines = ["BEGIN:VTIMEZONE", "TZID:Odd"]
        for name in self._random.choices(
            ("STANDARD", "DAYLIGHT"), k=self._random.choice((0, 1, 2, 2, 9))
        ):
            lines += [f"BEGIN:{name}", *self._make_observance(), f"END:{name}"]
        return [*lines, "END:VTIMEZONE"]

    def _make_observance(self) -> list[str]:
        pick, chance = self._random.choice, self._random.random
        offsets = (
            "+0100",
            "+0200",
            "-0330",
            "+2359",
            "-2359",
            "+2400",
            "+0099",
            "x",
            "+00",
            "+010203",
        )
        weights = (9, 9, 3, 1, 1, 1, 1, 1, 1, 1)
        lines = [
            f"{name}:{self._random.choices(offsets, weights)[0]}"
            for name in ("TZOFFSETFROM", "TZOFFSETTO")
            if chance() < 0.97
        ]
        start = pick(
            ("19700329T020000", "16010101T000000", "00010101T000000", "20001029T030000", "9998")
        )
        if chance() < 0.95:
            lines.append(f"DTSTART:{start if chance() < 0.9 else self._make_day() + pick(_TIMES)}")
        frequencies = [
            "YEARLY" if chance() < 0.9 else "DAILY" for _ in range(pick((0, 1, 1, 1, 3)))
        ]
        lines += [f"RRULE:{self._make_rule(each)}" for each in frequencies]
        if chance() < 0.2:
            lines.append(f"RDATE:{self._make_day()}T020000,{self._make_day()}{pick(_TIMES)}")
        self._random.shuffle(lines)
        return lines
