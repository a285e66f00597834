"""The one change log: every write appends to it, and its readers are views of it."""
