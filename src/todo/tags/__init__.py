"""The tags of a user's own tasks."""
