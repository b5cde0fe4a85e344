-- A batch of appends in one call, each row as one value: unnesting a column of each costs more than the insert's own work. The function with
-- the columns stays for the nodes of the build before this one, which may still be running on the same database.
create type log.guard as (category text, stream_id uuid, version bigint);

create type log.new_event as (
    product_id uuid, category text, stream_id uuid, version bigint, event_id uuid, type text, contract_version smallint,
    data json, metadata json, correlation_id uuid, causation_id uuid
);

-- The place counts from the position that the log has before the call.
create type log.new_receipt as (
    key bytea, fingerprint bytea, place bigint, category text, stream_id uuid, version bigint, event_ids uuid[]
);

-- Whoever calls it holds the log's lock until commit; each statement in it sees what was committed before the lock was got.
create function log.append(
    -- Streams that must be at these versions.
    guards log.guard[], events log.new_event[], receipts log.new_receipt[],
    out base bigint, out at timestamptz
) language plpgsql as $$
#variable_conflict use_column
begin
    update log.head
    set position = position + cardinality(events), recorded_at = greatest(clock_timestamp(), recorded_at)
    returning position - cardinality(events), recorded_at into base, at;

    -- Limits, so that each stream is looked up by the index: an exists here may become a hash of the whole log.
    perform
    from unnest(guards) as wanted
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

    insert into log.events (position, product_id, category, stream_id, version, event_id, type, contract_version,
        data, metadata, correlation_id, causation_id, recorded_at)
    select base + place, product_id, category, stream_id, version, event_id, type, contract_version,
        data, metadata, correlation_id, causation_id, at
    from unnest(events) with ordinality
        as row (product_id, category, stream_id, version, event_id, type, contract_version, data, metadata,
            correlation_id, causation_id, place);

    if cardinality(receipts) > 0 then
        insert into log.receipts (key, fingerprint, position, category, stream_id, version, event_ids, recorded_at)
        select key, fingerprint, base + place, category, stream_id, version, event_ids, at
        from unnest(receipts) as row (key, fingerprint, place, category, stream_id, version, event_ids);
    end if;
end $$;
