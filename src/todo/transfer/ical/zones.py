"""Time zones of a calendar file: IANA names, Windows names, and definitions in the file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo

from todo.core.time_budget import TimeBudget
from todo.schedule.due import find_zone
from todo.transfer.ical.parser import Component, unescape
from todo.transfer.ical.vtimezone import DescribedZone, UnreadableZoneError

# America/Argentina/Buenos_Aires has three parts, and no name has more.
_MAX_PARTS = 3


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone; one without an IANA name is defined only in the file."""

    rules: tzinfo
    name: str | None


class Zones:
    """Time zones of the TZIDs in one file; definitions are parsed on first use."""

    def __init__(self, described: Iterable[Component], budget: TimeBudget) -> None:
        # TZID is escaped TEXT in a definition, but a plain parameter elsewhere.
        self._described = {unescape(_value(each, "TZID")): each for each in described}
        self._budget = budget
        self._known: dict[str, Zone | None] = {}
        self._faults: dict[str, str] = {}

    def find(self, tzid: str) -> Zone | None:
        """Return the zone, or None without a known name or a valid definition."""
        if tzid not in self._known:
            self._known[tzid] = self._find(tzid)
        return self._known[tzid]

    def explain(self, tzid: str) -> str:
        """Return the reason why a zone was not found."""
        return self._faults.get(tzid, "is unknown")

    def _find(self, tzid: str) -> Zone | None:
        description = self._described.get(unescape(tzid))
        for name in _names(tzid, description):
            zone = find_zone(name)
            if zone is not None:
                return Zone(zone, name)
        if description is None:
            return None
        try:
            return Zone(DescribedZone(description, self._budget), None)
        except UnreadableZoneError as error:
            self._faults[tzid] = f"is described on line {description.line}, not usable ({error})"
            return None


def _names(tzid: str, description: Component | None) -> Iterator[str]:
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON  # noqa: PLC0415 - 170 ms

    yield tzid
    if description is not None:
        yield _value(description, "X-LIC-LOCATION")
    if tzid in WINDOWS_TO_OLSON:
        yield WINDOWS_TO_OLSON[tzid]
    # Globally unique names end in an IANA name: /mozilla.org/20050126_1/Europe/Berlin. In other
    # names a definition outranks a single last word: Office/Cuba may be anywhere.
    parts = tzid.rsplit("/", _MAX_PARTS)
    last = len(parts) - (description is not None and not tzid.startswith("/"))
    for first in range(1, last):
        yield "/".join(parts[first:])
    if parts[-1].upper() in {"UTC", "GMT", "Z"}:
        yield "UTC"  # as in tzone://Microsoft/Utc


def _value(component: Component, name: str) -> str:
    return next((each.value for each in component.properties if each.name == name), "")
