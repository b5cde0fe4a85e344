create table storages (
    like log.row_metadata including all,
    -- Whatever sum of sizes there is.
    bytes numeric(20) not null,
    files bigint      not null
);
