"""A day of an agent through the official SDK; prints what it did as JSON.

Runs in the environment of mcp.lock: `python agent_day.py MODE URL TOKEN`. The connection of the
call with the key `lost` is closed before its response arrives.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import Implementation

RUN = "plan-the-week"
KEY = "lost"

WEEK = [
    "Stand-up every weekday at 9:15",
    "Review the budget monday at 10:00 p1 @finance",
    "Call the landlord tomorrow at noon",
    "Buy train tickets tomorrow evening !high",
    "Send the invoice to Miller in 2 days @finance",
    "Write the weekly report every friday at 16:00 remind me 30 min before",
    "Dentist next wednesday at 8:30 remind me 1 day before",
    "Water the plants every! 3 days",
    "Book a table for four friday at 19:30",
    'Read "Tomorrow and Tomorrow" on saturday',
    "Prepare slides for the board in 3 days p2 @work",
    "Renew the passport by end of month",
    "Pick up the parcel tomorrow at 17:30",
    "Gym every tuesday and thursday at 7am",
    "Backup the laptop every last day of the month",
]
MORE = [
    "Plan the sprint monday at 13:00 @work",
    "Interview candidate tuesday at 11:00 @work p1",
    "Repair sun lamp",
    "Release version 1.2 thursday",
    "Pay rent every month on the 1st p1 @home",
    "Clean the kitchen saturday morning @home",
    "Groceries every saturday at 10 @home",
    "Call mum sunday at 18:00",
    "Cancel the trial in 6 days !high",
    "Update the CV",
    "Order printer paper @office",
    "Walk the dog every day at 6:30",
    "Yoga every other wednesday at 18:15",
    "File the taxes in 2 weeks @finance p1",
    "Check the smoke detectors every 6 months",
]


@contextlib.asynccontextmanager
async def connect(mode: str, url: str, token: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token}"}
    info = Implementation(name="day", version="1")
    async with httpx2.AsyncClient(headers=headers, timeout=None) as http:
        server = streamable_http_client(url, http_client=http)
        async with Client(server, mode=mode, client_info=info) as client:
            yield client


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content[0].text
    found: dict[str, Any] = result.structured_content
    return found


async def plan_week(client: Client) -> dict[str, Any]:
    """Add thirty lines of quick add in two calls."""
    added = [
        await call(client, "add_tasks", tasks=[{"text": line} for line in lines], run_id=RUN)
        for lines in (WEEK, MORE)
    ]
    return {"added": [task for page in added for task in page["tasks"]]}


async def move_series(client: Client, name: str) -> dict[str, Any]:
    """Move a recurring task of the user to another day, and complete it."""
    before = (await call(client, "find_tasks", query=name))["tasks"][0]
    item = {"id": before["id"], "due": "next thursday", "version": before["version"]}
    moved = (await call(client, "reschedule_tasks", tasks=[item], run_id=RUN))["tasks"][0]
    done = await call(client, "complete_tasks", tasks=[{"id": before["id"]}], run_id=RUN)
    return {"before": before, "moved": moved, "next": done["next"]}


async def clear_up(client: Client, name: str) -> dict[str, Any]:
    """Delete a task of the user, in two calls."""
    task = (await call(client, "find_tasks", query=name))["tasks"][0]
    plan = await call(client, "delete_tasks", tasks=[{"id": task["id"]}], run_id=RUN)
    done = await call(client, "delete_tasks", plan_id=plan["plan_id"], run_id=RUN)
    return {"planned": plan["status"], "deleted": done["count"]}


async def add_once(mode: str, url: str, token: str) -> dict[str, Any]:
    """Repeat a call whose response was lost."""
    arguments: dict[str, Any] = {"tasks": [{"text": "Buy milk tomorrow"}], "run_id": RUN}
    lost = False
    try:
        async with connect(mode, url, token) as client:
            await call(client, "add_tasks", **arguments, idempotency_key=KEY)
    except Exception:  # noqa: BLE001 - whichever error the SDK has for a lost connection
        lost = True
    async with connect(mode, url, token) as client:
        again = await call(client, "add_tasks", **arguments, idempotency_key=KEY)
    return {"lost": lost, "replayed": again.get("replayed", False)}


async def main() -> None:
    mode, url, token = sys.argv[1:]
    async with connect(mode, url, token) as client:
        found = {"version": client.protocol_version, "morning": await call(client, "overview")}
        found |= await plan_week(client)
        found |= await move_series(client, "Team meeting")
        found |= await clear_up(client, "Old note")
    found |= await add_once(mode, url, token)
    async with connect(mode, url, token) as client:
        found["evening"] = await call(client, "find_tasks", limit=50)
        found["undone"] = await call(client, "undo", run_id=RUN)
        found["after"] = await call(client, "find_tasks", limit=50)
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    asyncio.run(main())
