"""The words and numbers of a text."""
