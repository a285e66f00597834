"""Assistant that turns chat messages into tool calls; see docs/assistant.md."""
