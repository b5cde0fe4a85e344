create table avatars (
    id         uuid        primary key,
    product_id uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    created_by uuid        not null,
    updated_at timestamptz not null,
    position   bigint      not null,

    file_id    uuid        not null
);
