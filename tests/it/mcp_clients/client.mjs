// Drives a server with an official TypeScript client, and prints what it saw as JSON. It runs where the packages are installed.
//
// Arguments: address of the server, key of an agent, key of a person, protocol version, what to work on as JSON, and the package: `sdk`
// is the first line of the client, `client` the second.

import { createRequire } from 'node:module';

const [url, agent, person, version, json, line] = process.argv.slice(2);
const require = createRequire(`${process.cwd()}/`);
const installed = path => require(`@modelcontextprotocol/${path}`);
const { Client } = installed(line === 'sdk' ? 'sdk/client/index.js' : 'client');
const { StreamableHTTPClientTransport } = installed(line === 'sdk' ? 'sdk/client/streamableHttp.js' : 'client');
const elicitation = line === 'sdk' ? installed('sdk/types.js').ElicitRequestSchema : 'elicitation/create';
const on = JSON.parse(json);
const newest = version === '2026-07-28';

let asked = 0;
// What the address is for: the person decides, with a key of their own.
async function approve(request) {
    asked += 1;
    const path = `${url}/v1/proposals/${request.params.url.split('/').pop()}`;
    const headers = { Authorization: `Bearer ${person}`, 'Content-Type': 'application/json' };
    const proposal = await (await fetch(path, { headers })).json();
    const body = JSON.stringify({ actions_hash: proposal.actions_hash });
    const answer = await fetch(`${path}/approve`, { method: 'POST', headers, body });
    if (!answer.ok) throw new Error(await answer.text());
    return { action: 'accept' };
}

const client = new Client(
    { name: 'tests', version: '1' },
    {
        capabilities: { elicitation: { url: {} } },
        versionNegotiation: { mode: newest ? { pin: version } : 'legacy' },
        ...(newest ? {} : { supportedProtocolVersions: [version] }),
    },
);
client.setRequestHandler(elicitation, approve);
const headers = { Authorization: `Bearer ${agent}`, 'Daybook-Run-Id': `typescript ${version}` };
const transport = new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } });
await client.connect(transport);

async function call(name, args) {
    const result = await client.callTool({ name, arguments: args });
    if (result.isError) throw new Error(JSON.stringify(result));
    return result.structuredContent;
}

const seen = { version: line === 'sdk' ? transport.protocolVersion : client.getNegotiatedProtocolVersion(), server: client.getServerVersion()?.name };
seen.tools = (await client.listTools()).tools.map(tool => tool.name);
seen.note = await call('read_note', { note_id: on.note_id });
seen.found = await call('search_notes', { query: 'steep' });
seen.tasks = await call('list_tasks', { status: 'open' });
const { proposal_id } = await call('propose_changes', on.proposal);
seen.status = (await call('proposal_status', { proposal_id })).status;
seen.withdrawn = (await call('withdraw_proposal', { proposal_id })).status;
seen.waited = (await call('propose_changes', { ...on.proposal, wait_for_approval: true })).status;
seen.asked = asked;
const absent = await client.callTool({ name: 'read_note', arguments: { note_id: on.workspace_id } });
seen.error = absent.isError && JSON.parse(absent.content[0].text).code;
seen.resources = (await client.listResources()).resources.map(resource => resource.uri);
seen.resource = (await client.readResource({ uri: `note://${on.note_id}` })).contents[0].text;
seen.prompts = (await client.listPrompts()).prompts.length;
const prompt = await client.getPrompt({ name: 'summarise_note', arguments: { note_id: on.note_id } });
seen.prompt = prompt.messages[0].content.resource.text;
await client.close();
console.log(JSON.stringify(seen));
