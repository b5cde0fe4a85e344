create table files (
    id            uuid        primary key,
    product_id    uuid        not null,
    version       bigint      not null,
    created_at    timestamptz not null,
    created_by    uuid        not null,
    updated_at    timestamptz not null,
    position      bigint      not null,

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
