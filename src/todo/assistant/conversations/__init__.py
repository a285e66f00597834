"""Conversations: what a message stores, and how its turn starts, streams and ends."""
