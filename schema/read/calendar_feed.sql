create table calendar_feeds (
    id         uuid        primary key,
    product_id uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    created_by uuid        not null,
    updated_at timestamptz not null,
    position   bigint      not null,

    name       text        not null,
    owner      uuid        not null,
    credential uuid,
    status     text        not null,
    sha256     text        not null
);
create index on calendar_feeds (owner, id);
create index on calendar_feeds (sha256);
