"""Export and import of accounts, and import of calendar files."""
