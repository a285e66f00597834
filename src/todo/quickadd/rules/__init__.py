"""Recognizers of recurrences, with their bounds and first due date."""
