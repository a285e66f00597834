"""MCP server: the tools that agents call, over the same services as HTTP; see docs/mcp.md."""
