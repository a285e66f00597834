"""Content negotiation by the Accept header (RFC 9110, 12.5.1)."""

from collections.abc import Iterable, Iterator

_JSON = "application/json"


def prefers(media_type: str, accept: Iterable[str]) -> bool:
    """Return whether the `Accept` headers prefer the media type to JSON."""
    qualities = dict(_parse_accept(accept))
    return _find_quality(qualities, media_type) > _find_quality(qualities, _JSON)


def _find_quality(qualities: dict[str, float], media_type: str) -> float:
    # The most specific range takes precedence.
    for media_range in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        if media_range in qualities:
            return qualities[media_range]
    return 0.0


def _parse_accept(accept: Iterable[str]) -> Iterator[tuple[str, float]]:
    for part in ",".join(accept).split(","):
        media_range, *parameters = (each.strip().lower() for each in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.rstrip() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        yield media_range, quality
