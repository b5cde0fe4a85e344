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

-- The columns that begin the table of every read model with one row per stream: `like log.row_metadata including all`.
create table log.row_metadata (
    id         uuid        primary key,
    product_id uuid        not null,
    version    bigint      not null,
    created_at timestamptz not null,
    created_by uuid        not null,
    updated_at timestamptz not null,
    position   bigint      not null
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

-- Takes the next places of the log and, until commit, its lock: each statement that follows sees what was committed
-- before the lock was got.
create function log.take_places(
    -- Streams that must be at these versions.
    guarded_categories text[], guarded_ids uuid[], guarded_versions bigint[],
    places bigint,
    -- The position before the first of them.
    out base bigint, out at timestamptz
) language plpgsql as $$
#variable_conflict use_column
begin
    update log.head
    set position = position + places, recorded_at = greatest(clock_timestamp(), recorded_at)
    returning position - places, recorded_at into base, at;

    if cardinality(guarded_ids) = 0 then
        return;
    end if;
    -- Limits, so that each stream is looked up by the index: an exists here may become a hash of the whole log.
    perform
    from unnest(guarded_categories, guarded_ids, guarded_versions) as wanted (category, stream_id, version)
    left join lateral (
        select true as found from log.events e
        where e.stream_id = wanted.stream_id and e.category = wanted.category and e.version = wanted.version limit 1
    ) as last on true
    left join lateral (
        select true as found from log.events e
        where e.stream_id = wanted.stream_id and e.category = wanted.category and e.version = wanted.version + 1 limit 1
    ) as next on true
    where next.found or wanted.version > 0 and last.found is null;
    if found then
        raise exception 'a stream is not at the version that an append expects' using errcode = 'DB001';
    end if;
end $$;

-- Keeps the receipts of a batch, in its transaction.
create function log.keep_receipts(
    base bigint, at timestamptz,
    -- Places count from the base.
    keys bytea[], fingerprints bytea[], places bigint[], categories text[], stream_ids uuid[], versions bigint[],
    event_ids text[]
) returns void language plpgsql as $$
#variable_conflict use_column
begin
    if cardinality(keys) > 0 then
        -- An array of arrays would have to be rectangular, so the event ids come as text.
        insert into log.receipts (key, fingerprint, position, category, stream_id, version, event_ids, recorded_at)
        select key, fingerprint, base + place, category, stream_id, version, event_ids::uuid[], at
        from unnest(keys, fingerprints, places, categories, stream_ids, versions, event_ids)
            as row (key, fingerprint, place, category, stream_id, version, event_ids);
    end if;
end $$;

-- Appends a batch in one call. Many events are copied instead, which costs PostgreSQL three quarters of it: `take_places` comes first then,
-- and `keep_receipts` afterwards.
create function log.append(
    -- Streams that must be at these versions.
    guarded_categories text[], guarded_ids uuid[], guarded_versions bigint[],
    product_ids uuid[], categories text[], stream_ids uuid[], versions bigint[], event_ids uuid[], types text[],
    contract_versions smallint[], payloads text[], metadata text[], correlation_ids uuid[], causation_ids uuid[],
    workspace_ids uuid[],
    -- Places count from the position that the log has before the call.
    keys bytea[], fingerprints bytea[], key_places bigint[], key_categories text[], key_stream_ids uuid[],
    key_versions bigint[], key_event_ids text[],
    out base bigint, out at timestamptz
) language plpgsql as $$
#variable_conflict use_column
declare
    taken record;
begin
    taken := log.take_places(guarded_categories, guarded_ids, guarded_versions, cardinality(event_ids));
    base := taken.base;
    at := taken.at;

    insert into log.events (position, product_id, category, stream_id, version, event_id, type, contract_version,
        data, metadata, correlation_id, causation_id, recorded_at, workspace_id)
    select base + place, product_id, category, stream_id, version, event_id, type, contract_version,
        data::json, metadata::json, correlation_id, causation_id, at, workspace_id
    from unnest(product_ids, categories, stream_ids, versions, event_ids, types, contract_versions, payloads, metadata,
            correlation_ids, causation_ids, workspace_ids) with ordinality
        as row (product_id, category, stream_id, version, event_id, type, contract_version, data, metadata,
            correlation_id, causation_id, workspace_id, place);

    if cardinality(keys) > 0 then
        perform log.keep_receipts(base, at, keys, fingerprints, key_places, key_categories, key_stream_ids,
            key_versions, key_event_ids);
    end if;
end $$;

-- The progress of each consumer of the log.
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

-- Work to be done at a time: claimed, leased, retried, and in the end a dead letter.
create table log.jobs (
    id           uuid        primary key,
    kind         text        not null,
    -- Jobs of one partition share a limit: the deliveries to one endpoint.
    partition    text        not null default '',
    product_id   uuid        not null,
    payload      json        not null,
    run_at       timestamptz not null,
    attempts     integer     not null default 0,
    -- The lease of the worker that runs it: whoever has another one can change nothing.
    lease        uuid,
    leased_until timestamptz,
    -- A request that came while it was at work: to run with a new payload, or not to become a dead letter.
    meanwhile    text        check (meanwhile in ('hastened', 'redriven')),
    dead_letter  boolean     not null default false,
    last_error   text,
    created_at   timestamptz not null default now()
-- A lease changes no index; with room on its page for the changed row, it costs none either.
) with (fillfactor = 70);
-- A claim goes from partition to partition and takes the oldest jobs of each: jobs that wait in one partition cost the others nothing.
create index jobs_partition on log.jobs (kind, partition, dead_letter, run_at);

-- What all nodes of a database must agree on.
create table log.settings (
    name  text primary key,
    value text not null
);
