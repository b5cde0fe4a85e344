-- What can be found: one row per note, task and artifact, with the text that it is found by.
create table search_documents (
    id           uuid        primary key,
    product_id   uuid        not null,
    workspace_id uuid        not null,
    kind         text        not null,
    -- Of a task or an artifact: the note that it belongs to.
    note_id      uuid,
    title        text        not null,
    body         text        not null,
    tags         text[]      not null,
    status       text        not null,
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    position     bigint      not null,

    -- As titles are compared.
    title_words  text        not null,
    -- Words of the title (A), tags (B) and body (D), and marks that begin with a colon: see vector.rs.
    words        tsvector    not null,
    -- Of a long document: vectors of title and tags and of stretches of the body, which have the phrases that the whole has no
    -- room for; and the characters of the body before each stretch.
    parts        tsvector[],
    part_starts  int[],
    -- There are words that only the parts have.
    incomplete   boolean     not null
)
-- Whatever is long stands apart, so that the rows of a common word are few pages; room for changes that leave the words as
-- they are, which then touch no index.
with (toast_tuple_target = 256, fillfactor = 90);
alter table search_documents alter column words set storage external;
create index on search_documents using gin (words) with (gin_pending_list_limit = 1024);

-- The words that there are, and in how many documents of a kind, for suggestions and for what is mistyped. What is in the
-- trash does not count.
create table search_vocabulary (
    workspace_id uuid     not null,
    kind         text     not null,
    word         text     not null collate "C",
    documents    bigint   not null,
    -- See typo.rs; they are of the workspace, too.
    keys         bigint[] not null,
    primary key (workspace_id, kind, word)
) with (fillfactor = 80);
create index on search_vocabulary using gin (keys) with (gin_pending_list_limit = 1024);
