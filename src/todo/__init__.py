"""The todo backend: an HTTP service over PostgreSQL or SQLite."""

__version__ = "0.1.0"
