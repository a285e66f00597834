"""MCP server: tools for agents, backed by the same services as the HTTP API; see docs/mcp.md."""
