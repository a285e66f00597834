"""Compatibility of this program with revisions of the database schema."""

from dataclasses import dataclass

from todo.db.tables import EXPECTED_REVISION


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """Schema version of a database.

    Attributes:
        revision: Last migration, `""` for an empty database.
        oldest_program: Revision that the oldest compatible program expects. `""` before revision
            0013, when only programs that expect `revision` are compatible.
    """

    revision: str
    oldest_program: str = ""

    def supports(self, program: str = EXPECTED_REVISION) -> bool:
        """Return whether a program works with this schema.

        A later revision only adds to what older programs use, unless it raises `oldest_program`.

        Args:
            program: The revision that the program expects.
        """
        if self.revision == program:
            return True
        # Revisions are numbers of four digits.
        return bool(self.oldest_program) and self.oldest_program <= program < self.revision

    @property
    def mismatch(self) -> str:
        """Message for callers if the program does not support this schema."""
        found = f"The database schema is revision {self.revision or 'none'}"
        if self.oldest_program > EXPECTED_REVISION:
            return (
                f"{found}, which requires a program for revision {self.oldest_program} or later; "
                f"this program is for {EXPECTED_REVISION}."
            )
        return f"{found}; this program requires {EXPECTED_REVISION}."
