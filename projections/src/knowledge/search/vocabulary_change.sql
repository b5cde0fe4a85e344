-- Which of the words there were, by their places among those given.
update search_vocabulary v set documents = v.documents + r.documents
from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[]) with ordinality as r (workspace_id, kind, word, documents, place)
where v.workspace_id = r.workspace_id and v.kind = r.kind and v.word = r.word
returning r.place
