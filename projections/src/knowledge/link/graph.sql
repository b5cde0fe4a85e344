-- Breadth first: rows come in the order of their depth, and no more of them are looked for than are taken.
with recursive around (id, depth) as (
    select t.id, 0 from note_titles t where t.id = $1 and {visible}
  union
    select near.id, around.depth + 1
    from around
    -- Offsets, so that the links of each note are looked up by the index: a join may become a hash of all links.
    cross join lateral (
        (select l.target_id from links l where l.source_id = around.id and not l.dangling order by l.id desc offset 0)
        union all
        (select l.source_id from links l where l.target_id = around.id and not l.dangling order by l.id desc offset 0)
    ) near (id)
    where around.depth < $4
),
reached as (
    select id, min(depth) as depth, min(place) as place
    from (
        select id, depth, row_number() over () as place
        from (select id, depth from around limit $5) steps
    ) placed
    group by id
    order by place
    limit $6
),
edges as (
    select l.id, l.source_id, l.target_id, l.kind, l.relation
    from reached
    cross join lateral (
        select * from links l where l.source_id = reached.id and not l.dangling order by l.id desc offset 0
    ) l
    where l.target_id in (select id from reached)
    limit $7
)
select json_build_object(
    'nodes', coalesce((
        select json_agg(json_build_object(
            'id', r.id, 'title', (select n.title from note_titles n where n.id = r.id), 'depth', r.depth
        ) order by r.place)
        from reached r
    ), '[]'),
    'edges', coalesce((
        select json_agg(json_build_object(
            'id', e.id, 'source_id', e.source_id, 'target_id', e.target_id, 'kind', e.kind, 'relation', e.relation
        ))
        from edges e
    ), '[]')
)::text
