"""Updates of the backend that roll back on failure, and rollbacks on request."""
