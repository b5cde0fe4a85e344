create table agents (
    id              uuid        primary key,
    product_id      uuid        not null,
    version         bigint      not null,
    created_at      timestamptz not null,
    created_by      uuid        not null,
    updated_at      timestamptz not null,
    position        bigint      not null,

    name            text        not null,
    model           text,
    owner_id        uuid        not null,
    api_key_id      uuid        not null,
    daily_proposals bigint,
    proposed_on     date,
    proposals       bigint      not null,
    status          text        not null,
    reason          text
);
create index on agents (product_id, id);
