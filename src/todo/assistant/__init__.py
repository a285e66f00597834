"""Assistant: what a person writes in a chat becomes calls of the tools; see docs/assistant.md."""
