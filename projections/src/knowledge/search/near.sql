-- Words of some workspaces that may be meant by one, and whether it is one of them itself or begins one.
select json_build_object(
    'known', exists (
        select from search_vocabulary v
        where v.workspace_id = any($1) and v.kind = any($2)
            and (v.word = $3::text or $4::boolean and v.word >= $3 and v.word < $3 || chr(1114111))
    ),
    'near', coalesce((
        select json_agg(json_build_object('word', n.word, 'documents', n.documents))
        from (
            select v.word, sum(v.documents)::bigint as documents
            from search_vocabulary v
            where v.keys && $5::bigint[] and v.workspace_id = any($1) and v.kind = any($2)
            group by v.word order by 2 desc, 1 limit $6
        ) n
    ), '[]')
)::text
