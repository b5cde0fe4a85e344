create table policies (
    id            uuid        primary key,
    product_id    uuid        not null,
    version       bigint      not null,
    created_at    timestamptz not null,
    created_by    uuid        not null,
    updated_at    timestamptz not null,
    position      bigint      not null,

    workspace_id  uuid        not null,
    quorum        bigint      not null,
    approvers     jsonb,
    expires_after jsonb,
    automatic     jsonb       not null,
    forbidden     jsonb       not null,
    merge         text        not null,
    set_by        jsonb       not null
);
