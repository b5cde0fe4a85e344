-- The events $1 to $2 of a log of $3 notes, each the next of its note: product, type, payload, metadata, workspace.
insert into log.events (position, product_id, category, stream_id, version, event_id, type, contract_version, data,
    metadata, correlation_id, causation_id, recorded_at, workspace_id)
select n, $4, 'note', pg_temp.id((n - 1) % $3), (n - 1) / $3 + 1, pg_temp.id(n), $5, 1, sample.data,
    sample.metadata, pg_temp.id(n), null, timestamptz '2026-01-01' + n * interval '1 millisecond', $8
from generate_series($1::bigint, $2::bigint) as n,
    -- Parsed once: the offset keeps it from becoming a part of every row.
    (select $6::text::json, $7::text::json offset 0) as sample (data, metadata)
