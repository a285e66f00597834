"""The zones of a calendar file: names of IANA, of Windows, and zones that the file describes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo

from todo.tasks.due import find_zone
from todo.transfer.ical_text import Component, Property


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone; without a name of IANA it is only known what its clocks show."""

    rules: tzinfo
    name: str | None


class Zones:
    """What the TZIDs of one file mean."""

    def __init__(self, described: Iterable[Component]) -> None:
        self._described = {_value(each, "TZID"): each for each in described}
        self._known: dict[str, Zone | None] = {}

    def find(self, tzid: str) -> Zone | None:
        """Return the zone, or None when neither its name nor a description of it is known."""
        if tzid not in self._known:
            self._known[tzid] = self._find(tzid)
        return self._known[tzid]

    def _find(self, tzid: str) -> Zone | None:
        description = self._described.get(tzid)
        for name in _names(tzid, description):
            zone = find_zone(name)
            if zone is not None:
                return Zone(zone, name)
        rules = None if description is None else _build(description)
        return None if rules is None else Zone(rules, None)


def _names(tzid: str, description: Component | None) -> Iterator[str]:
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON  # noqa: PLC0415 - as icalendar

    yield tzid
    if description is not None:
        yield _value(description, "X-LIC-LOCATION")
    if tzid in WINDOWS_TO_OLSON:
        yield WINDOWS_TO_OLSON[tzid]
    # Globally unique names end in one of IANA: /mozilla.org/20050126_1/Europe/Berlin.
    parts = tzid.split("/")
    for first in range(1, len(parts)):
        yield "/".join(parts[first:])
    if parts[-1].upper() in {"UTC", "GMT", "Z"}:
        yield "UTC"  # as in tzone://Microsoft/Utc


def _value(component: Component, name: str) -> str:
    return next((each.value for each in component.properties if each.name == name), "")


def _build(description: Component) -> tzinfo | None:
    """Make a zone of its description."""
    from icalendar import Timezone  # noqa: PLC0415 - as icalendar

    lines = ["BEGIN:VTIMEZONE", *(each.text for each in description.properties)]
    for part in description.components:
        if any("FREQ=YEARLY" not in each.value.upper() for each in _rules(part)):
            # Evaluating a rule of seconds would not come to an end.
            return None
        lines += [f"BEGIN:{part.name}", *(each.text for each in part.properties)]
        lines.append(f"END:{part.name}")
    text = "\r\n".join([*lines, "END:VTIMEZONE", ""])
    try:
        component = Timezone.from_ical(text)
        return component.to_tz(lookup_tzid=False) if isinstance(component, Timezone) else None
    except (ValueError, TypeError, LookupError, AttributeError):
        # What icalendar and dateutil raise on a description that makes no sense.
        return None


def _rules(part: Component) -> Iterator[Property]:
    return (each for each in part.properties if each.name == "RRULE")
