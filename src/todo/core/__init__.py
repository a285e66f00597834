"""What every package may use: errors, exit codes, identifiers, the circuit breaker."""
