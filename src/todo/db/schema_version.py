"""Compatibility of this program with revisions of the database schema."""

from dataclasses import dataclass

from todo.db.tables import EXPECTED_REVISION


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """Schema version of a database.

    Attributes:
        revision: Last migration, `""` for an empty database.
        oldest_program: Revision that the oldest compatible program expects. `""` before revision
            0013: only programs that expect `revision` are compatible.
    """

    revision: str
    oldest_program: str = ""

    def supports(self, program: str = EXPECTED_REVISION) -> bool:
        """Return whether the schema supports a program that expects the revision `program`.

        Later revisions are compatible with older programs unless they raise `oldest_program`.
        """
        if self.revision == program:
            return True
        # Revisions are four-digit numbers, which can be compared as text.
        return bool(self.oldest_program) and self.oldest_program <= program < self.revision

    @property
    def mismatch(self) -> str:
        """Error message for callers if the schema does not support this program."""
        found = f"The database schema is revision {self.revision or 'none'}"
        if self.oldest_program > EXPECTED_REVISION:
            return (
                f"{found}, which requires a program for revision {self.oldest_program} or later; "
                f"this program is for {EXPECTED_REVISION}."
            )
        return f"{found}; this program requires {EXPECTED_REVISION}."
