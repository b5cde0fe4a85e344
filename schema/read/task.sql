create table tasks (
    like log.row_metadata including all,
    workspace_id uuid        not null,
    note_id      uuid,
    title        text        not null,
    status       text        not null,
    assignee     uuid,
    due_on       date,
    labels       text[]      not null,
    rank         text        not null collate "C",
    completed_at timestamptz
);
create index on tasks (workspace_id, id);
create index on tasks (workspace_id, rank, id);
create index on tasks (note_id) where note_id is not null;
create index on tasks (assignee, due_on) where assignee is not null;
create index on tasks using gin (labels);
