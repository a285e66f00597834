"""API for existing front ends, on top of the same services; see docs/frontends.md."""
