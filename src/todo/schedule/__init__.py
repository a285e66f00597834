"""Calculation of due times and recurrence (RFC 5545), without I/O."""
