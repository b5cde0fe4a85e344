create table agents (
    like log.row_metadata including all,
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
