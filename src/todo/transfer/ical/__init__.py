"""Calendar files (RFC 5545): reading VTODO components as tasks."""
