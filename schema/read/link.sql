create table links (
    id           uuid        primary key,
    product_id   uuid        not null,
    workspace_id uuid        not null,
    source_id    uuid        not null,
    kind         text        not null,
    -- Of a typed link.
    relation     text,
    -- Of a wiki link: the title or path as its body has it, what stands for all that are the same, and the names that it may mean, in order.
    text         text,
    title_id     uuid,
    name_ids     uuid[],
    -- Where the text has a number sign: the heading that it leads to by each of the names.
    anchors      text[],
    target_id    uuid,
    dangling     boolean     not null,
    -- The names under which a note would take the place of its target.
    awaits       uuid[]      not null,
    created_at   timestamptz not null
);
create index on links (workspace_id, id);
create index on links (workspace_id, id) where dangling;
create index on links (source_id, id);
create index on links (target_id, id);
create index on links using gin (awaits) with (fastupdate = off) where awaits <> '{}';

-- The notes that there are, as links know them.
create table note_titles (
    id           uuid   primary key,
    product_id   uuid   not null,
    workspace_id uuid   not null,
    title        text   not null,
    aliases      text[] not null,
    -- Of the file that it was made of.
    path         text,
    name_ids     uuid[] not null,
    -- Of the note's first event: of several notes with the same name, links lead to the oldest.
    position     bigint not null
);
create index on note_titles using gin (name_ids) with (fastupdate = off);
