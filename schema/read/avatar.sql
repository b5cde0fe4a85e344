create table avatars (
    like log.row_metadata including all,
    file_id uuid        not null
);
