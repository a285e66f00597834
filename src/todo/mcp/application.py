"""Assembly of the MCP endpoint and its tools, imported on the first request."""

from todo import __version__
from todo.api.root_page import NAME
from todo.config.settings import Settings
from todo.mcp.endpoint import McpEndpoint
from todo.mcp.metadata import ResourceMetadata
from todo.mcp.methods import CAPABILITIES, METHODS
from todo.mcp.protocol import Server
from todo.mcp.tools import INSTRUCTIONS, TOOLS
from todo.mcp.tools.failure_texts import FAILURE_TEXTS


def open_endpoint(settings: Settings, metadata_path: str) -> McpEndpoint:
    """Return the MCP endpoint; `metadata_path` is the path prefix of its OAuth metadata."""
    metadata = None
    if settings.login_service is not None:
        metadata = open_metadata(settings.login_service, metadata_path)
    server = Server(
        info={"name": "todo-backend", "title": NAME, "version": __version__},
        instructions=INSTRUCTIONS,
        tools=TOOLS,
        capabilities=CAPABILITIES,
        methods=METHODS,
        challenges=metadata is not None,
        failure_texts=FAILURE_TEXTS,
    )
    return McpEndpoint(server, settings.cors_origins, metadata)


def open_metadata(login_service: str, path: str) -> ResourceMetadata:
    """Return the OAuth metadata of the MCP endpoint; `path` is the prefix of its URL paths."""
    return ResourceMetadata(login_service, sorted({tool.scope for tool in TOOLS}), NAME, path)
