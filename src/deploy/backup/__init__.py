"""Backups: the commands that make, restore and test them."""
