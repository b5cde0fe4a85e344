create table webhook_deliveries (
    like log.row_metadata including all,
    webhook_id      uuid        not null,
    event_id        uuid        not null,
    event_type      text        not null,
    status          text        not null,
    attempts        bigint      not null,
    last_status     integer,
    last_error      text,
    last_response   text        not null,
    duration_ms     bigint      not null,
    last_attempt_at timestamptz not null,
    next_attempt_at timestamptz
);
create index on webhook_deliveries (webhook_id, id);
