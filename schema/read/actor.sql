create table actors (
    like log.row_metadata including all,
    kind text        not null,
    name text        not null
);
create index on actors (product_id, id);
