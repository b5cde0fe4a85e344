create table workspaces (
    like log.row_metadata including all,
    name    text        not null,
    status  text        not null,
    members jsonb       not null
);
create index on workspaces using gin (members);
