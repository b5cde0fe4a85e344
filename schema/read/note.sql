create table notes (
    id           uuid        primary key,
    product_id   uuid        not null,
    version      bigint      not null,
    created_at   timestamptz not null,
    created_by   uuid        not null,
    updated_at   timestamptz not null,
    position     bigint      not null,

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
