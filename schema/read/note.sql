create table notes (
    like log.row_metadata including all,
    workspace_id uuid        not null,
    title        text        not null,
    body         text        not null,
    tags         text[]      not null,
    aliases      text[]      not null,
    -- The file that it was made of, if it was.
    file         jsonb,
    links        jsonb       not null,
    status       text        not null
);
create index on notes (workspace_id, id);
create index on notes using gin (tags);
