create table api_keys (
    like log.row_metadata including all,
    name                 text        not null,
    actor                jsonb       not null,
    scopes               text[]      not null,
    status               text        not null,
    controller           uuid        not null,
    vouched              boolean     not null,
    enrolled             boolean     not null,
    generation           integer     not null,
    sha256               text        not null,
    previous_sha256      text,
    previous_valid_until timestamptz
);
create index on api_keys (product_id, id);
create index on api_keys (sha256);
create index on api_keys (previous_sha256);
