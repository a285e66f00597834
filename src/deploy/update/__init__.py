"""Updates of the backend that undo themselves, and rollbacks."""
