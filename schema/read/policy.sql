create table policies (
    like log.row_metadata including all,
    workspace_id  uuid        not null,
    quorum        bigint      not null,
    approvers     jsonb,
    expires_after jsonb,
    automatic     jsonb       not null,
    forbidden     jsonb       not null,
    merge         text        not null,
    set_by        jsonb       not null
);
