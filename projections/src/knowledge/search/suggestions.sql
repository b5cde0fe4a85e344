-- Titles that have the words, those that begin so first; then words that begin like the last.
with scope as materialized (
    select array_agg(w.id) as ids, string_agg(format('%L', ':w' || replace(w.id::text, '-', '')), '|')::tsquery as within
    from workspaces w where w.id = any($1)
),
titles as (
    select t.title as text, t.kind, t.id, starts_with(t.title_words, $4::text) as first, t.position as place
    from search_documents t
    where t.words @@ (select within && $3::text::tsquery from scope) and t.workspace_id = any($1) and t.kind = any($2)
        and t.status not in ('trashed', 'detached') and t.title <> ''
        -- A task or an artifact is out of sight for as long as its note is.
        and (t.note_id is null or (select n.status <> 'trashed' from search_documents n where n.id = t.note_id))
    order by 4 desc, 5 desc limit $6
),
completed as (
    select v.word as text, sum(v.documents)::bigint as place
    from search_vocabulary v
    where v.workspace_id = any($1) and v.kind = any($2) and v.word >= $5::text and v.word < $5 || chr(1114111)
    group by v.word order by 2 desc, 1 limit $6
)
select json_build_object('text', s.text, 'kind', s.kind, 'id', s.id)::text
from (
    select 0 as source, text, kind, id, first, place from titles
    union all select 1, text, null, null, false, place from completed
) s
order by s.source, s.first desc, s.place desc, s.text limit $6
