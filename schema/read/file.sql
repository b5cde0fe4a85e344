create table files (
    like log.row_metadata including all,
    container     text        not null,
    name          text        not null,
    media_type    text        not null,
    size          bigint      not null,
    sha256        text,
    workspace_id  uuid,
    status        text        not null,
    expires_at    timestamptz not null,
    stored_at     timestamptz,
    renditions    jsonb       not null,
    resize_failed text
);
create index on files (product_id, id);
create index on files (workspace_id, id) where workspace_id is not null;
