create table proposals (
    id             uuid             primary key,
    product_id     uuid             not null,
    version        bigint           not null,
    created_at     timestamptz      not null,
    created_by     uuid             not null,
    updated_at     timestamptz      not null,
    position       bigint           not null,

    workspace_id   uuid             not null,
    status         text             not null,
    actions        jsonb            not null,
    actions_hash   text             not null,
    edited_actions jsonb,
    rationale      text             not null,
    confidence     double precision,
    model          text,
    run_id         text,
    expires_at     timestamptz,
    proposer       jsonb            not null,
    decided_by     jsonb,
    decided_at     timestamptz,
    comment        text,
    reason         text,
    notes          jsonb            not null,
    conflicts      jsonb            not null
);
create index on proposals (workspace_id, id);
