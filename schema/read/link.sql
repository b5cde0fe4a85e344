create table links (
    id           uuid        primary key,
    product_id   uuid        not null,
    workspace_id uuid        not null,
    source_id    uuid        not null,
    kind         text        not null,
    -- Of a typed link.
    relation     text,
    -- Of a wiki link: the title as its body has it, and what stands for all titles that are the same.
    text         text,
    title_id     uuid,
    target_id    uuid,
    dangling     boolean     not null,
    created_at   timestamptz not null
);
create index on links (workspace_id, id);
create index on links (workspace_id, id) where dangling;
create index on links (source_id, id);
create index on links (target_id, id);
create index on links (title_id) where dangling;

-- The notes that there are, as links know them.
create table note_titles (
    id           uuid   primary key,
    product_id   uuid   not null,
    workspace_id uuid   not null,
    title        text   not null,
    title_id     uuid   not null,
    -- Of the note's first event: of several notes with the same title, links lead to the oldest.
    position     bigint not null
);
create index on note_titles (title_id, position);
