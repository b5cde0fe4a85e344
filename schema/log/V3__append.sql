-- A batch of appends in one call. Whoever calls it holds the log's lock until commit; each statement in it sees what
-- was committed before the lock was got.
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
begin
    update log.head
    set position = position + cardinality(event_ids), recorded_at = greatest(clock_timestamp(), recorded_at)
    returning position - cardinality(event_ids), recorded_at into base, at;

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

    insert into log.events (position, product_id, category, stream_id, version, event_id, type, contract_version,
        data, metadata, correlation_id, causation_id, recorded_at, workspace_id)
    select base + place, product_id, category, stream_id, version, event_id, type, contract_version,
        data::json, metadata::json, correlation_id, causation_id, at, workspace_id
    from unnest(product_ids, categories, stream_ids, versions, event_ids, types, contract_versions, payloads, metadata,
            correlation_ids, causation_ids, workspace_ids) with ordinality
        as row (product_id, category, stream_id, version, event_id, type, contract_version, data, metadata,
            correlation_id, causation_id, workspace_id, place);

    if cardinality(keys) > 0 then
        -- An array of arrays would have to be rectangular, so the event ids come as text.
        insert into log.receipts (key, fingerprint, position, category, stream_id, version, event_ids, recorded_at)
        select key, fingerprint, base + place, category, stream_id, version, event_ids::uuid[], at
        from unnest(keys, fingerprints, key_places, key_categories, key_stream_ids, key_versions, key_event_ids)
            as row (key, fingerprint, place, category, stream_id, version, event_ids);
    end if;
end $$;
