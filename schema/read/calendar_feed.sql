create table calendar_feeds (
    like log.row_metadata including all,
    name       text        not null,
    owner      uuid        not null,
    credential uuid,
    status     text        not null,
    sha256     text        not null
);
create index on calendar_feeds (owner, id);
create index on calendar_feeds (sha256);
