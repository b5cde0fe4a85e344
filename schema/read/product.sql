create table products (
    like log.row_metadata including all,
    name text        not null
);
