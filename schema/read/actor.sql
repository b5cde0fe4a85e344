create table actors (
    id         uuid        primary key,
    product_id uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    created_by uuid        not null,
    updated_at timestamptz not null,
    position   bigint      not null,

    kind       text        not null,
    name       text        not null
);
create index on actors (product_id, id);
