"""Web page `/app`: tasks, quick add, the assistant, and the changes of agents."""
