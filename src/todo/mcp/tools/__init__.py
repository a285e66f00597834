"""The tools that agents call."""

from todo.mcp.tool import Tool

TOOLS: tuple[Tool, ...] = ()
"""In the order in which they are listed."""
INSTRUCTIONS = "Manage the tasks, lists and tags of one user."
"""How to use the tools, for models."""
