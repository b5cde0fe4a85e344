create table webhooks (
    like log.row_metadata including all,
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
