create table tool_calls (
    like log.row_metadata including all,
    tool             text        not null,
    arguments_sha256 text        not null,
    outcome          text        not null,
    protocol_version text        not null,
    run_id           text,
    workspace_id     uuid,
    note_id          uuid,
    proposal_id      uuid,
    duration_ms      bigint,
    actor            jsonb       not null,
    correlation_id   uuid        not null
);
create index on tool_calls (product_id, id);
create index on tool_calls (created_by, id);
create index on tool_calls (product_id, run_id, id);
