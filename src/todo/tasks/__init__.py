"""Tasks: endpoints, service, queries, recurrence, reminders and quick add."""
