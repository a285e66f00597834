"""Authentication with bearer tokens, and what a caller may see and change."""
