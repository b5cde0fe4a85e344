create table artifacts (
    like log.row_metadata including all,
    workspace_id uuid        not null,
    note_id      uuid        not null,
    name         text        not null,
    -- Within the folder that it was imported from.
    path         text,
    media_type   text        not null,
    size         bigint,
    sha256       text,
    file_id      uuid,
    url          text,
    status       text        not null
);
create index on artifacts (workspace_id, id);
create index on artifacts (note_id, id);
create index on artifacts (file_id) where file_id is not null;
