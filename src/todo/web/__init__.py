"""The page `/app`: tasks, quick add, the assistant, and what agents have changed."""
