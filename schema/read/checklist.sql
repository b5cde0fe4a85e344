create table checklists (
    like log.row_metadata including all,
    lines bigint      not null
);
