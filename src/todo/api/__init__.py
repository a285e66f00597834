"""Shared parts of all API routes: middleware, reads and writes, errors, pagination."""
