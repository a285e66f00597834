"""A host on which every program succeeds."""

from deploy import process


class Host:
    """A host on which every program succeeds, noting what is run."""

    def __init__(self) -> None:
        self.ran: list[list[str]] = []

    def run(self, argv: list[str], **_: object) -> process.Completed:
        self.ran.append(argv)
        return process.Completed(tuple(argv), 0, "", "")

    def find(self, *words: str) -> list[list[str]]:
        """Return the commands with all of these words."""
        return [argv for argv in self.ran if {*words} <= {*argv}]
