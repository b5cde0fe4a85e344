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
-- The last ones that match, as far as the index can tell.
recent as materialized (
    select t.id, t.kind, t.workspace_id, t.tags, t.updated_at
    from search_documents t
    where t.words @@ (select query from asked) and {filters}
    order by t.updated_at desc, t.id desc limit $12
),
-- Less what has the words of a phrase, but not the phrase.
matched as materialized (
    select r.* from recent r
    where $14::text is null or (select t.words @@ $14::text::tsquery from search_documents t where t.id = r.id)
),
-- Of those with all words in the title, and those whose title is what is asked, as many more.
titled as materialized (
    select t.id, t.updated_at, 1 as tier
    from search_documents t
    where t.words @@ (select titled from asked) and {filters}
    order by t.updated_at desc, t.id desc limit $13
),
exact as materialized (
    select t.id, t.updated_at, 2 as tier
    from search_documents t
    where t.words @@ (select exact from asked) and {filters}
    order by t.updated_at desc, t.id desc limit $13
),
candidates as materialized (
    select id, max(tier) as tier
    from (
        (select id, updated_at, 0 as tier from matched order by updated_at desc, id desc limit $13)
        union all select * from titled
        union all select * from exact
    ) found
    group by id
),
ranked as materialized (
    select t.id, t.updated_at, c.tier + coalesce(r.rank / (1 + r.rank), 0) as score
    from candidates c
    join search_documents t on t.id = c.id
    -- A rank of its own makes no more than the tier does.
    cross join lateral (select ts_rank_cd('{0.1, 0.2, 0.4, 1.0}', t.words, $11::text::tsquery)::float8 as rank offset 0) r
    where $14::text is null or t.words @@ $14::text::tsquery
),
page as materialized (
    select * from ranked
    where $15::float8 is null or (score, updated_at, id) < ($15, $16::timestamptz, $17::uuid)
    order by score desc, updated_at desc, id desc limit $18
)
select json_build_object(
    'found', coalesce((
        select json_agg(json_build_object(
            'kind', t.kind, 'id', t.id, 'workspace_id', t.workspace_id, 'note_id', t.note_id, 'title', t.title,
            'tags', t.tags, 'status', t.status, 'created_at', t.created_at, 'updated_at', t.updated_at, 'score', p.score,
            'excerpt', e.text
        ) order by p.score desc, p.updated_at desc, p.id desc)
        from page p
        join search_documents t on t.id = p.id
        -- Of a long body: what is around the first of the words.
        cross join lateral (
            select case when length(t.body) <= $19 then t.body else substr(t.body, greatest(1, coalesce((
                select min(nullif(strpos(lower(t.body), word), 0)) from unnest($20::text[]) word
            ), 1) - $19 / 2), $19) end as text
        ) e
    ), '[]'),
    -- With the first page.
    'facets', case when $15 is null then json_build_object(
        'total', (select count(*) from matched),
        'complete', (select count(*) < $12 from recent),
        'kinds', (select coalesce(json_agg(json_build_object('value', kind, 'count', n) order by n desc, kind), '[]')
            from (select kind, count(*) as n from matched group by kind) k),
        'workspaces', (select coalesce(json_agg(json_build_object('value', workspace_id, 'count', n) order by n desc, workspace_id), '[]')
            from (select workspace_id, count(*) as n from matched group by workspace_id order by 2 desc, 1 limit $22) w),
        'tags', (select coalesce(json_agg(json_build_object('value', tag, 'count', n) order by n desc, tag), '[]')
            from (select tag, count(*) as n from matched, unnest(tags) as tag group by tag order by 2 desc, 1 limit $22) g)
    ) end
)::text
