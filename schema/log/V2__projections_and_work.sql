-- What follows the log: how far each reader has come, and the work that falls due.

create schema read;

create table log.checkpoints (
    name        text        primary key,
    position    bigint      not null,
    -- What the read model was built by: its version and the hash of its DDL. Empty for a reaction.
    built_by    text        not null default '',
    -- Why it stopped, if it met an event that it cannot apply.
    stopped     text,
    updated_at  timestamptz not null default now()
);

create table log.due_work (
    id           uuid        primary key,
    kind         text        not null,
    -- Items of one lane share a limit: the endpoint of a webhook.
    lane         text        not null default '',
    product_id   uuid        not null,
    payload      json        not null,
    run_at       timestamptz not null,
    attempts     integer     not null default 0,
    leased_until timestamptz,
    parked       boolean     not null default false,
    last_error   text,
    created_at   timestamptz not null default now()
);
create index due_work_due on log.due_work (kind, run_at) where not parked;
create index due_work_lane on log.due_work (kind, lane);

-- What all nodes of a database must agree on.
create table log.settings (
    name  text primary key,
    value text not null
);

grant select, insert on log.settings to daybook_app;
grant select, insert, update, delete on log.checkpoints, log.due_work to daybook_app;
grant usage, create on schema read to daybook_app;
do $$
begin
    execute format('grant create on database %I to daybook_app', current_database());
end $$;
