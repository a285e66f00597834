"""Conversations: stored messages, and the storage and streaming of their turns."""
