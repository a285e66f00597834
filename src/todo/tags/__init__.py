"""Tags of a user's own tasks."""
