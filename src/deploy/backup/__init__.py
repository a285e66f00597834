"""Backups on request, restores and restore drills."""
