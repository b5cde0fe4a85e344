create table webhooks (
    id                          uuid        primary key,
    product_id                  uuid        not null,
    version                     bigint      not null,
    created_at                  timestamptz not null,
    created_by                  uuid        not null,
    updated_at                  timestamptz not null,
    position                    bigint      not null,

    owner                       jsonb       not null,
    url                         text        not null,
    events                      text[]      not null,
    description                 text        not null,
    headers                     jsonb       not null,
    rate_limit                  bigint,
    status                      text        not null,
    disabled_reason             text,
    disabled_position           bigint,
    replay                      jsonb,
    failing_since               timestamptz,
    generation                  integer     not null,
    previous_secret_valid_until timestamptz,
    created_position            bigint      not null
);
create index on webhooks (product_id, id);
