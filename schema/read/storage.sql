create table storages (
    id         uuid        primary key,
    product_id uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    created_by uuid        not null,
    updated_at timestamptz not null,
    position   bigint      not null,

    -- Whatever sum of sizes there is.
    bytes      numeric(20) not null,
    files      bigint      not null
);
