"""Vocabulary of the grammar: weekdays, months, units and numbers."""

from typing import Final, Literal

Unit = Literal["minute", "hour", "day", "week", "month", "year"]

WEEKDAY_NAMES: Final = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
)  # fmt: skip
MONTH_NAMES: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip

_SHORT_WEEKDAYS = {
    "mon": 0, "tue": 1, "tues": 1, "wed": 2, "weds": 2, "thu": 3, "thur": 3, "thurs": 3,
    "fri": 4, "sat": 5, "sun": 6,
}  # fmt: skip
# If they were unknown, a time next to a misspelled weekday would mean today.
_MISSPELLED_WEEKDAYS = {
    "monady": 0, "munday": 0, "mondey": 0,
    "teusday": 1, "tuesady": 1, "tusday": 1, "tuseday": 1, "tuesdy": 1, "tueday": 1, "tuesay": 1,
    "wendsday": 2, "wensday": 2, "wednsday": 2, "wednesaday": 2, "wedesday": 2, "wednesdy": 2,
    "wednesady": 2, "wendesday": 2, "wenesday": 2, "wedneday": 2, "wednesay": 2,
    "thrusday": 3, "thurday": 3, "thursady": 3, "thursdy": 3, "thusday": 3, "thirsday": 3,
    "thurdsay": 3, "thursay": 3,
    "firday": 4, "fridya": 4, "frdiay": 4, "friady": 4, "fryday": 4,
    "satuday": 5, "saterday": 5, "satruday": 5, "satarday": 5, "saturdya": 5, "saturady": 5,
    "sarturday": 5, "satudray": 5,
    "sundya": 6, "sunady": 6, "sudnay": 6,
}  # fmt: skip
WEEKDAYS: Final[dict[str, int]] = {
    **{name.lower(): number for number, name in enumerate(WEEKDAY_NAMES)},
    **_SHORT_WEEKDAYS,
    **_MISSPELLED_WEEKDAYS,
}
# Full names only: `tues` is not a plural.
PLURAL_WEEKDAYS: Final[dict[str, int]] = {
    f"{name.lower()}s": number for number, name in enumerate(WEEKDAY_NAMES)
}
# Common words, which are weekdays only next to another part of a due date.
WEAK_WEEKDAYS: Final = frozenset({"mon", "wed", "sat", "sun"})

_MISSPELLED_MONTHS = {
    "janurary": 1, "januray": 1, "janaury": 1, "febuary": 2, "feburary": 2, "februrary": 2,
    "febrary": 2, "agust": 8, "augest": 8, "auguest": 8, "septmber": 9, "setpember": 9,
    "sepetember": 9, "ocotber": 10, "octobor": 10, "novemeber": 11, "novmber": 11, "novemebr": 11,
    "decmber": 12, "decemeber": 12, "decembar": 12,
}  # fmt: skip
MONTHS: Final[dict[str, int]] = {
    **{name.lower(): number for number, name in enumerate(MONTH_NAMES, 1)},
    **{name[:3].lower(): number for number, name in enumerate(MONTH_NAMES, 1)},
    "sept": 9,
    **_MISSPELLED_MONTHS,
}
BEFORE_ANOTHER_DAY: Final = frozenset({
    "ash", "black", "bloody", "blue", "casual", "cyber", "easter", "except", "fat", "freaky",
    "given", "giving", "good", "happy", "holy", "last", "manic", "maundy", "meatless", "mothering",
    "not", "palm", "pancake", "past", "plough", "previous", "ruby", "shrove", "spy", "stormy",
    "super", "taco", "tgi", "throwback", "whit",
})  # fmt: skip
"""Words before a weekday that is past, excluded, a holiday, or part of a name."""

# Common words, as in "march 10 miles" and "6 may attend".
WEAK_MONTHS: Final = frozenset({"mar", "march", "may"})

DISTANT_DAYS: Final[dict[str, int]] = {
    "today": 0, "tod": 0, "tonight": 0, "tomorrow": 1, "tmr": 1, "tmrw": 1, "tmw": 1,
    "overmorrow": 2,
    # Misspelled words.
    "todya": 0, "tonite": 0, "tongiht": 0, "tonght": 0,
    "tomorow": 1, "tommorow": 1, "tommorrow": 1, "tomorrrow": 1, "tomorro": 1, "tomorrw": 1,
    "tomrrow": 1, "tomrorow": 1, "tomorraw": 1, "tomarrow": 1, "tommarow": 1, "tmorrow": 1,
    "tomm": 1, "tmro": 1, "tmoro": 1, "tomoro": 1, "tommoro": 1, "tomrw": 1, "tmmrw": 1,
    "tomoorow": 1, "tomorrwo": 1, "tomorroe": 1, "tomorr": 1,
}  # fmt: skip

UNITS: Final[dict[str, Unit]] = {
    "min": "minute", "mins": "minute", "minute": "minute", "minutes": "minute",
    "h": "hour", "hr": "hour", "hrs": "hour", "hour": "hour", "hours": "hour",
    "d": "day", "day": "day", "days": "day",
    "w": "week", "wk": "week", "wks": "week", "week": "week", "weeks": "week",
    "mo": "month", "mos": "month", "mth": "month", "mths": "month",
    "month": "month", "months": "month",
    "y": "year", "yr": "year", "yrs": "year", "year": "year", "years": "year",
}  # fmt: skip

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
TENS: Final[dict[str, int]] = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50}
CARDINALS: Final[dict[str, int]] = {
    **{name: number for number, name in enumerate(_ONES) if number},
    **TENS,
    "sixty": 60,
}
ORDINALS: Final[dict[str, int]] = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7,
    "eighth": 8, "ninth": 9, "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13,
    "fourteenth": 14, "fifteenth": 15, "sixteenth": 16, "seventeenth": 17, "eighteenth": 18,
    "nineteenth": 19, "twentieth": 20, "thirtieth": 30,
}  # fmt: skip

JOINING: Final = frozenset({"or", "and", "&"})

# Words whose number is part of a name, not a date or a time.
NUMBERED: Final = frozenset({
    "art", "article", "chapter", "chapters", "colossians", "corinthians", "deuteronomy",
    "ecclesiastes", "ephesians", "exercise", "exodus", "ezekiel", "figure", "galatians", "genesis",
    "grade", "hebrews", "isaiah", "item", "jeremiah", "lamentations", "level", "leviticus", "no",
    "number", "page", "pages", "paragraph", "part", "phase", "philippians", "proverbs", "psalm",
    "psalms", "python", "question", "ratio", "release", "revelation", "romans", "room", "round",
    "score", "season", "section", "sprint", "step", "surah", "temp", "temperature", "thessalonians",
    "v", "verse", "version", "volume",
})  # fmt: skip
