"""One journey through the generated Python client, type-checked before it runs.

BASE, KEY (a person's), AGENT_KEY and AGENT_ID come from the environment.
"""

import os
import urllib.parse
import uuid
from io import BytesIO

from daybook_client import AuthenticatedClient, Client
from daybook_client.api.artifacts import notes_attach, notes_upload
from daybook_client.api.files import files_request, files_upload
from daybook_client.api.notes import notes_create, notes_get, notes_list, notes_revise
from daybook_client.api.proposals import proposals_approve, proposals_submit
from daybook_client.api.workspaces import workspaces_create, workspaces_set_member
from daybook_client.models import (
    Artifact,
    Container,
    DryRun,
    FileRecord,
    Membership,
    NewApproval,
    NewArtifact,
    NewAttachment,
    NewFile,
    NewNote,
    NewNoteReviseAction,
    NewProposal,
    WorkspaceName,
    Note,
    NoteRevision,
    NoteList,
    ProblemDetails,
    Proposal,
    RequestedFile,
    Role,
    Workspace,
)
from daybook_client.types import File

base = os.environ["BASE"]
person = AuthenticatedClient(base_url=base, token=os.environ["KEY"])
agent = AuthenticatedClient(base_url=base, token=os.environ["AGENT_KEY"])
anyone = Client(base_url=base)

workspace = workspaces_create.sync(client=person, body=WorkspaceName(name="Research"))
assert isinstance(workspace, Workspace)

new_note = NewNote(workspace_id=workspace.id, title="Tea", body="Steep it.", tags=["hot"])
planned = notes_create.sync(client=person, body=new_note, dry_run=True)
assert isinstance(planned, DryRun)
assert [event.type_ for event in planned.events] == ["note.created"]
note = notes_create.sync(client=person, body=new_note, idempotency_key="first")
assert isinstance(note, Note)
again = notes_create.sync(client=person, body=new_note, idempotency_key="first")
assert again == note

revision = NoteRevision(body="Steep it for three minutes.")
planned = notes_revise.sync(note.id, client=person, body=revision, dry_run=True)
assert isinstance(planned, DryRun)
revised = notes_revise.sync(note.id, client=person, body=revision, if_match='"1"')
assert isinstance(revised, Note) and revised.version == 2
stale = notes_revise.sync(note.id, client=person, body=revision, if_match='"1"')
assert isinstance(stale, ProblemDetails) and stale.code == "version_mismatch"

content = b"%PDF-1.7 minutes"
new_file = NewFile(
    container=Container.ATTACHMENTS, name="minutes.pdf", media_type="application/pdf", size=len(content)
)
requested = files_request.sync(client=person, body=new_file)
assert isinstance(requested, RequestedFile)
signed = urllib.parse.parse_qs(urllib.parse.urlsplit(requested.upload.url).query)
stored = files_upload.sync(
    requested.id,
    client=anyone,
    body=File(payload=BytesIO(content)),
    expires=int(signed["expires"][0]),
    signature=signed["signature"][0],
)
assert isinstance(stored, FileRecord) and stored.media_type == "application/pdf"
attached = notes_attach.sync(note.id, client=person, body=NewArtifact(file_id=stored.id))
assert isinstance(attached, Artifact) and attached.name == "minutes.pdf"

form = NewAttachment(file=File(payload=BytesIO(content), file_name="agenda.pdf", mime_type="application/pdf"))
uploaded = notes_upload.sync(note.id, client=person, body=form)
assert isinstance(uploaded, Artifact) and uploaded.name == "agenda.pdf"

second = notes_create.sync(client=person, body=NewNote(workspace_id=workspace.id, title="Coffee", body=""))
assert isinstance(second, Note)
titles = []
page = notes_list.sync(client=person, workspace_id=workspace.id, limit=1, daybook_min_position=second.position)
while isinstance(page, NoteList):
    titles += [item.title for item in page.items]
    if not isinstance(page.next_cursor, str):
        break
    page = notes_list.sync(client=person, workspace_id=workspace.id, limit=1, cursor=page.next_cursor)
assert titles == ["Coffee", "Tea"], titles

absent = notes_get.sync(uuid.uuid4(), client=person)
assert isinstance(absent, ProblemDetails) and absent.code == "not_found", absent

member = workspaces_set_member.sync(
    workspace.id, uuid.UUID(os.environ["AGENT_ID"]), client=person, body=Membership(role=Role.AGENT)
)
assert isinstance(member, Workspace)
action = NewNoteReviseAction(
    note_id=note.id, base_version=2, title="Green tea", type_="note.revise"
)
proposal = proposals_submit.sync(
    client=agent, body=NewProposal(workspace_id=workspace.id, actions=[action], rationale="Say which tea.")
)
assert isinstance(proposal, Proposal), proposal
approved = proposals_approve.sync(
    proposal.id, client=person, body=NewApproval(actions_hash=proposal.actions_hash)
)
assert isinstance(approved, Proposal) and approved.status == "applied"
print("done")
