"""Upgrade of the database to another major version of PostgreSQL."""
