"""Drives a server with the official Python client, and prints what it saw as JSON.

Arguments: address of the server, key of an agent, key of a person, protocol version, what to work on as JSON.
"""

import asyncio
import json
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult


async def main(url, agent, person, version, on):
    headers = {"Authorization": f"Bearer {agent}", "Daybook-Run-Id": f"python {version}"}
    asked = []

    async def approve(_context, params):
        """What the address is for: the person decides, with a key of their own."""
        asked.append(params.url)
        proposal_id = params.url.rsplit("/", 1)[1]
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {person}"}) as http:
            proposal = (await http.get(f"{url}/v1/proposals/{proposal_id}")).json()
            approval = {"actions_hash": proposal["actions_hash"]}
            answer = await http.post(f"{url}/v1/proposals/{proposal_id}/approve", json=approval)
            answer.raise_for_status()
        return ElicitResult(action="accept")

    newest = version == "2026-07-28"
    http = httpx2.AsyncClient(headers=headers, timeout=60)
    transport = streamable_http_client(f"{url}/mcp", http_client=http)
    mode = "auto" if newest else "legacy"
    async with http, Client(transport, mode=mode, elicitation_callback=approve) as client:

        async def call(name, arguments):
            result = await client.call_tool(name, arguments)
            assert not result.is_error, result
            return result.structured_content

        seen = {"version": client.protocol_version, "server": client.server_info.name}
        seen["tools"] = [tool.name for tool in (await client.list_tools()).tools]
        seen["note"] = await call("read_note", {"note_id": on["note_id"]})
        seen["found"] = await call("search_notes", {"query": "steep"})
        seen["tasks"] = await call("list_tasks", {"status": "open"})
        proposal = await call("propose_changes", on["proposal"])
        seen["status"] = (await call("proposal_status", {"proposal_id": proposal["proposal_id"]}))["status"]
        seen["withdrawn"] = (await call("withdraw_proposal", {"proposal_id": proposal["proposal_id"]}))["status"]
        seen["waited"] = (await call("propose_changes", {**on["proposal"], "wait_for_approval": True}))["status"]
        seen["asked"] = len(asked)
        absent = await client.call_tool("read_note", {"note_id": on["workspace_id"]})
        seen["error"] = absent.is_error and json.loads(absent.content[0].text)["code"]
        uris = [str(resource.uri) for resource in (await client.list_resources()).resources]
        seen["resources"] = uris
        contents = (await client.read_resource(f"note://{on['note_id']}")).contents
        seen["resource"] = contents[0].text
        seen["prompts"] = len((await client.list_prompts()).prompts)
        prompt = await client.get_prompt("summarise_note", {"note_id": on["note_id"]})
        seen["prompt"] = prompt.messages[0].content.resource.text
    print(json.dumps(seen))


asyncio.run(main(*sys.argv[1:5], json.loads(sys.argv[5])))
