"""A client of the official SDK: lists the tools, calls some, and prints what it got as JSON.

Runs in the environment of mcp.lock: `python sdk_client.py MODE URL TOKEN`, or with the command of a
server on standard input and output in place of address and token.
"""

import asyncio
import json
import os
import sys
from typing import Any

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import Implementation


async def run(mode: str, server: Any) -> dict[str, Any]:  # noqa: ANN401 - as the SDK takes it
    info = Implementation(name="SDK Probe", version="1.0")
    async with Client(server, mode=mode, client_info=info) as client:
        tools = await client.list_tools()
        overview = await client.call_tool("overview", {})
        added = await client.call_tool("add_tasks", {"tasks": [{"text": "Buy milk tomorrow"}]})
        refused = await client.call_tool("add_tasks", {"tasks": 7})
        try:
            await client.call_tool("no_such_tool", {})
        except MCPError as error:
            unknown = error.error.code
        return {
            "version": client.protocol_version,
            "server": client.server_info.name if client.server_info else None,
            "instructions": client.instructions,
            "tools": [tool.name for tool in tools.tools],
            "overview": overview.structured_content,
            "added": added.structured_content,
            "refused": [refused.is_error, refused.content[0].text],
            "unknown": unknown,
        }


async def main() -> None:
    mode, *words = sys.argv[1:]
    if words[0].startswith("http"):
        url, token = words
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(headers=headers, timeout=None) as client:
            found = await run(mode, streamable_http_client(url, http_client=client))
    else:
        program, *arguments = words
        server = StdioServerParameters(command=program, args=arguments, env=dict(os.environ))
        found = await run(mode, server)
    sys.stdout.write(f"{json.dumps(found)}\n")


asyncio.run(main())
