// One journey through the generated TypeScript client, type-checked before it runs, without a cast.
// BASE, KEY (a person's), AGENT_KEY and AGENT_ID come from the environment.
import { createClient } from './daybook/client';
import {
  filesRequest,
  filesUpload,
  notesAttach,
  notesCreate,
  notesGet,
  notesList,
  notesRevise,
  notesUpload,
  proposalsApprove,
  proposalsSubmit,
  workspacesCreate,
  workspacesSetMember,
} from './daybook/sdk.gen';
import type { DryRun, ProblemDetails } from './daybook/types.gen';

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

type Answer<T> = { data?: T; error?: unknown };

/** Returns the resource of a command that was carried out. */
function done<T extends object>({ data, error }: Answer<T | DryRun>): T {
  if (data === undefined) throw new Error(JSON.stringify(error));
  if ('dry_run' in data) throw new Error('was only planned');
  return data;
}

function planned<T extends object>({ data, error }: Answer<T | DryRun>): DryRun {
  if (data === undefined || !('dry_run' in data)) throw new Error(JSON.stringify(error ?? data));
  return data;
}

function refused({ error }: { error?: ProblemDetails }): string {
  if (error === undefined) throw new Error('was not refused');
  return error.code;
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

async function journey(): Promise<void> {
  const baseUrl = variable('BASE');
  const person = createClient({ baseUrl, auth: variable('KEY') });
  const agent = createClient({ baseUrl, auth: variable('AGENT_KEY') });
  const anyone = createClient({ baseUrl });

  const workspace = done(await workspacesCreate({ client: person, body: { name: 'Research' } }));
  const body = { workspace_id: workspace.id, title: 'Tea', body: 'Steep it.' };
  const plan = planned(await notesCreate({ client: person, body, query: { dry_run: true } }));
  expect(plan.events[0]?.type === 'note.created', 'the dry run names its event');
  const headers = { 'Idempotency-Key': 'first' };
  const note = done(await notesCreate({ client: person, body, headers }));
  const again = done(await notesCreate({ client: person, body, headers }));
  expect(again.id === note.id, 'a repetition gets the same note');

  const path = { id: note.id };
  const longer = { body: 'Steep it for three minutes.' };
  const ifMatch = { 'If-Match': '"1"' };
  planned(await notesRevise({ client: person, path, body: longer, query: { dry_run: true } }));
  const revised = done(await notesRevise({ client: person, path, body: longer, headers: ifMatch }));
  expect(revised.version === 2, 'the note has a second version');
  const stale = await notesRevise({ client: person, path, body: longer, headers: ifMatch });
  expect(refused(stale) === 'version_mismatch', 'the first version is stale');

  const minutes = new Blob(['%PDF-1.7 minutes'], { type: 'application/pdf' });
  const request = done(
    await filesRequest({
      client: person,
      body: { container: 'attachments', name: 'minutes.pdf', media_type: 'application/pdf', size: minutes.size },
    }),
  );
  const signed = new URL(request.upload.url, baseUrl).searchParams;
  const stored = done(
    await filesUpload({
      client: anyone,
      path: { id: request.id },
      query: { expires: Number(signed.get('expires')), signature: signed.get('signature') ?? '' },
      body: minutes,
    }),
  );
  const attached = done(await notesAttach({ client: person, path, body: { file_id: stored.id } }));
  expect(attached.name === 'minutes.pdf', 'the file is attached under its name');
  const agenda = new File([minutes], 'agenda.pdf', { type: 'application/pdf' });
  const uploaded = done(await notesUpload({ client: person, path, body: { file: agenda } }));
  expect(uploaded.name === 'agenda.pdf', 'a form uploads and attaches at once');

  const coffee = done(
    await notesCreate({ client: person, body: { workspace_id: workspace.id, title: 'Coffee' } }),
  );
  const titles: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await notesList({
      client: person,
      query: { workspace_id: workspace.id, limit: 1, cursor },
      headers: { 'Daybook-Min-Position': coffee.position },
    });
    titles.push(...(page.data?.items ?? []).map((item) => item.title));
    cursor = page.data?.next_cursor ?? undefined;
  } while (cursor !== undefined);
  expect(titles.join() === 'Coffee,Tea', titles.join());

  const absent = await notesGet({ client: person, path: { id: workspace.id } });
  expect(refused(absent) === 'not_found', 'a workspace is no note');

  const member = { id: workspace.id, actor_id: variable('AGENT_ID') };
  done(await workspacesSetMember({ client: person, path: member, body: { role: 'agent' } }));
  const proposal = done(
    await proposalsSubmit({
      client: agent,
      body: {
        workspace_id: workspace.id,
        rationale: 'Say which tea.',
        actions: [{ type: 'note.revise', note_id: note.id, base_version: 2, title: 'Green tea' }],
      },
    }),
  );
  const approved = done(
    await proposalsApprove({
      client: person,
      path: { id: proposal.id },
      body: { actions_hash: proposal.actions_hash },
    }),
  );
  expect(approved.status === 'applied', approved.status);
  console.log('done');
}

journey().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
