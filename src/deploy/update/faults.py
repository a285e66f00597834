"""Fault that ends an update."""

from __future__ import annotations


class FaultError(Exception):
    """Fault that ends the trial of an image.

    Args:
        reason: Description of the fault.
        unit: Service with the fault; empty if none.
        of_image: Whether the image is the cause, so that it is not tried again.
        log: Last lines of the service's log.
    """

    def __init__(
        self, reason: str, unit: str = "", *, of_image: bool = True, log: tuple[str, ...] = ()
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unit = unit
        self.of_image = of_image
        self.log = log
