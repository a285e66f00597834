"""Pure calculation of due times and recurrence (RFC 5545)."""
