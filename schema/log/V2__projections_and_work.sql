-- What follows the log: how far each reader has come, and the work that falls due.

create table log.checkpoints (
    name        text        primary key,
    position    bigint      not null,
    -- What the read model was built by: its version and the hash of its DDL. Empty for a reaction.
    built_by    text        not null default '',
    -- Raised when somebody else than the consumer changes its quarantine: the consumer starts over then.
    quarantine  bigint      not null default 0,
    updated_at  timestamptz not null default now()
);

-- Streams with an event that a consumer cannot apply. The consumer goes on without them.
create table log.quarantine (
    consumer    text        not null,
    category    text        not null,
    stream_id   uuid        not null,
    product_id  uuid        not null,
    -- Of the event that cannot be applied; later events of the stream wait behind it.
    position    bigint      not null,
    reason      text        not null,
    since       timestamptz not null,
    -- How often the event was tried again.
    retried     integer     not null,
    -- The operator's request, until the consumer has dealt with it.
    asked       text        check (asked in ('retry', 'skip')),
    primary key (consumer, category, stream_id)
);

-- Events that the operator has told a consumer to leave out.
create table log.skipped_events (
    consumer    text        not null,
    position    bigint      not null,
    reason      text        not null,
    skipped_at  timestamptz not null default now(),
    primary key (consumer, position)
);

create table log.due_work (
    id           uuid        primary key,
    kind         text        not null,
    -- Items of one lane share a limit: the endpoint of a webhook.
    lane         text        not null default '',
    product_id   uuid        not null,
    payload      json        not null,
    run_at       timestamptz not null,
    attempts     integer     not null default 0,
    leased_until timestamptz,
    parked       boolean     not null default false,
    last_error   text,
    created_at   timestamptz not null default now()
);
create index due_work_due on log.due_work (kind, run_at) where not parked;
create index due_work_lane on log.due_work (kind, lane);

-- What all nodes of a database must agree on.
create table log.settings (
    name  text primary key,
    value text not null
);
