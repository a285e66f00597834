"""Writes: the unit of work, the hash chain of the journal, and quotas."""
