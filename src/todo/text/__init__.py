"""Pure functions on text: Unicode normalization and search words."""
