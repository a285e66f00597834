"""Recurrence: its rule, its bounds and its first due."""
