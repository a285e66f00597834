"""Faults that end an update."""

from __future__ import annotations


class FaultError(Exception):
    """Something is wrong while an image is tried.

    Args:
        reason: What, in words.
        unit: The service that showed the fault; empty if it was not a service.
        of_image: Whether the image is to blame, so that it is not tried again.
        log: The last lines of the service's log.
    """

    def __init__(
        self, reason: str, unit: str = "", *, of_image: bool = True, log: tuple[str, ...] = ()
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unit = unit
        self.of_image = of_image
        self.log = log
