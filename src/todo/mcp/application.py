"""The MCP server of this service: its endpoint with its tools, made when they are first used."""

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
    """Return the endpoint.

    Args:
        settings: The environment.
        metadata_path: Prefix of the paths at which the metadata is served.
    """
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
    """Return the metadata of the endpoint.

    Args:
        login_service: The issuer of the tokens.
        path: Prefix of the paths at which the metadata is served.
    """
    return ResourceMetadata(login_service, sorted({tool.scope for tool in TOOLS}), NAME, path)
