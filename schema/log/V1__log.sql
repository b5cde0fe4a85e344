-- The log: every event, once, in order; and the answers to commands that may be repeated. The schemas are there, and rights are given
-- afterwards (store/src/postgres/rights.rs).

create table log.events (
    position         bigint      primary key,
    product_id       uuid        not null,
    category         text        not null collate "C",
    stream_id        uuid        not null,
    version          bigint      not null,
    event_id         uuid        not null,
    type             text        not null collate "C",
    contract_version smallint    not null,
    -- json, not jsonb: the text stays as it was written, so that a hash over it holds.
    data             json        not null,
    metadata         json        not null,
    correlation_id   uuid        not null,
    causation_id     uuid,
    recorded_at      timestamptz not null,
    -- Its members may see the event; null where it is in no workspace.
    workspace_id     uuid
);
create unique index events_stream_version on log.events (stream_id, category, version);
create unique index events_event_id on log.events (event_id);
create index events_correlation on log.events (correlation_id);

-- One row. Whoever appends holds its lock until commit, so that the order of positions is the order of commits.
create table log.head (
    only_row    boolean     primary key default true check (only_row),
    position    bigint      not null,
    recorded_at timestamptz not null
);
insert into log.head (position, recorded_at) values (0, '-infinity');

create table log.receipts (
    key         bytea       primary key,
    fingerprint bytea       not null,
    position    bigint      not null,
    category    text        not null,
    stream_id   uuid        not null,
    version     bigint      not null,
    event_ids   uuid[]      not null,
    recorded_at timestamptz not null
);

create function log.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'events are never updated, deleted or truncated'
        using errcode = 'integrity_constraint_violation';
end $$;
create trigger refuse_change before update or delete or truncate on log.events
    for each statement execute function log.refuse_change();
-- Also where session_replication_role would switch triggers off.
alter table log.events enable always trigger refuse_change;
