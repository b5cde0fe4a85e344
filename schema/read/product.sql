create table products (
    id         uuid        primary key,
    name       text        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    position   bigint      not null
);
