"""Recognizers of days."""
