"""Import of calendar files (RFC 5545): conversion of VTODO components to tasks."""
