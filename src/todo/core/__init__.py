"""Shared foundations: errors, exit codes, identifiers, the circuit breaker."""
