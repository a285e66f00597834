"""Recognizers of times of day and durations."""
