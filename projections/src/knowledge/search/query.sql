-- What is asked in the workspaces that the viewer sees; every query of the index says in which of them.
with scope as materialized (
    select array_agg(w.id) as ids, string_agg(format('%L', ':w' || replace(w.id::text, '-', '')), '|')::tsquery as within
    from workspaces w
    where ($1::uuid is null or w.product_id = $1 and w.members ? $2::text) and ($3::uuid is null or w.id = $3)
),
asked as materialized (
    select scope.ids, base.query,
        base.query && $9::text::tsquery as titled,
        base.query && $10::text::tsquery as exact
    from scope, lateral (select case
        -- The operator, in all workspaces.
        when $1 is null and $3 is null then $8::text::tsquery else scope.within && $8::text::tsquery
    end as query) base
),
-- The last ones that match, as far as the index can tell. Rows are told by where they are: it is the cheapest to sort, and to
-- come back to. A window instead of an order with a limit: numbers are sorted several times as fast as rows are kept in a heap.
recent as materialized (
    select place, position
    from (
        select t.ctid as place, t.position, row_number() over (order by t.position desc) as nth
        from search_documents t
        where t.words @@ (select query from asked) and {filters}
    ) matching
    where nth <= $12
),
-- Less what the index cannot tell from it: what has the words of a phrase, but not the phrase.
matched as materialized (
    select r.place, r.position, t.kind, t.workspace_id, t.tags
    from recent r join search_documents t on t.ctid = r.place
    where {fits}
),
-- Of those with all words in the title, and those whose title is what is asked, as many more.
titled as materialized (
    select place
    from (
        select t.ctid as place, row_number() over (order by t.position desc) as nth
        from search_documents t
        where t.words @@ (select titled from asked) and {filters}
    ) matching
    where nth <= $13
),
exact as materialized (
    select place
    from (
        select t.ctid as place, row_number() over (order by t.position desc) as nth
        from search_documents t
        where t.words @@ (select exact from asked) and {filters}
    ) matching
    where nth <= $13
),
candidates as materialized (
    select place, max(tier) as tier
    from (
        (select place, 0 as tier from matched order by position desc limit $13)
        union all select place, 1 from titled
        union all select place, 2 from exact
    ) found
    group by place
),
ranked as materialized (
    select c.place, t.position, c.tier + coalesce(r.rank / (1 + r.rank), 0) as score
    from candidates c
    join search_documents t on t.ctid = c.place
    -- However often a word is met, that makes no tier.
    cross join lateral (select ts_rank_cd('{0.1, 0.2, 0.4, 1.0}', t.words, $11::text::tsquery)::float8 as rank offset 0) r
    where {fits}
),
page as materialized (
    select * from ranked
    where $15::float8 is null or (score, position) < ($15, $16::bigint)
    order by score desc, position desc limit $17
)
select json_build_object(
    'found', coalesce((
        select json_agg(json_build_object(
            'kind', t.kind, 'id', t.id, 'workspace_id', t.workspace_id, 'note_id', t.note_id, 'title', t.title,
            'tags', t.tags, 'status', t.status, 'created_at', t.created_at, 'updated_at', t.updated_at,
            'position', t.position, 'score', p.score,
            'excerpt', e.text
        ) order by p.score desc, p.position desc)
        from page p
        join search_documents t on t.ctid = p.place
        -- Of a long body: the first of the parts that have what is asked for, or the most of the words.
        cross join lateral (
            select case when t.parts is null then t.body else substr(t.body, (
                -- The place alone: a text beside it would be cut out of the body for every part before one is chosen.
                select part.start + 1
                from unnest(t.parts, t.part_starts) with ordinality as part (words, start, place)
                where part.start is not null
                order by coalesce(part.words @@ $11::text::tsquery, false) desc,
                    (select count(*) from unnest($19::text[]) word where part.words @@ word::tsquery) desc, part.place
                limit 1
            ), $18) end as text
        ) e
    ), '[]'),
    -- With the first page.
    'facets', case when $15 is null then json_build_object(
        'total', (select count(*) from matched),
        'complete', (select count(*) < $12 from recent),
        'kinds', (select coalesce(json_agg(json_build_object('value', kind, 'count', n) order by n desc, kind), '[]')
            from (select kind, count(*) as n from matched group by kind) k),
        'workspaces', (select coalesce(json_agg(json_build_object('value', workspace_id, 'count', n) order by n desc, workspace_id), '[]')
            from (select workspace_id, count(*) as n from matched group by workspace_id order by 2 desc, 1 limit $21) w),
        'tags', (select coalesce(json_agg(json_build_object('value', tag, 'count', n) order by n desc, tag), '[]')
            from (select tag, count(*) as n from matched, unnest(tags) as tag group by tag order by 2 desc, 1 limit $21) g)
    ) end
)::text
