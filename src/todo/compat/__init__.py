"""The API that existing front ends call, over the same services; see docs/frontends.md."""
