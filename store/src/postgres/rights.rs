//! The role that sessions use, and its rights: it may add to the log, never change it.
//!
//! Every start checks the role again: a restored database may lack it, its rights, or its tables.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::open_error::OpenError;
use crate::failure::describe;

/// Creates the role and grants it to the account, if the account may do so. Other nodes may do the same concurrently.
const ROLE: &str = "
do $$ begin
    create role daybook_app nologin;
exception when others then null;
end $$;
do $$ begin
    execute format('grant daybook_app to %I', current_user);
exception when others then null;
end $$;";

/// Rights that the role $1 lacks. Tables that a migration adds may be written to, unless they are named here.
const MISSING: &str = "
with wanted as (
    select format('%s on schema %s', privilege, name) as what, has_schema_privilege($1::text, name, privilege) as held
    from (values ('log', 'usage'), ('read', 'usage'), ('read', 'create')) as wanted (name, privilege)
    union all
    select format('%s on log.%I', privilege, relname), has_table_privilege($1::text, c.oid, privilege)
    from pg_class c
    cross join lateral unnest(case
        when relname = 'head' then array['select', 'update']
        when relname in ('events', 'receipts', 'settings') then array['select', 'insert']
        else array['select', 'insert', 'update', 'delete'] end) as privilege
    where relnamespace = 'log'::regnamespace and relkind = 'r' and relname <> 'schema_history'
)
select what from wanted where not held order by what";

/// Tables of read models that the role $1 cannot replace.
const FOREIGN: &str = "
select relname::text from pg_class
where relnamespace = 'read'::regnamespace and relkind = 'r' and not pg_has_role($1::text, relowner, 'usage')
order by relname";

/// The owner of the log, and true if the account is the owner or a member of it.
const OWNER: &str = "
select pg_get_userbyid(relowner)::text, pg_has_role(relowner, 'usage') from pg_class
where relname = 'events' and relnamespace = to_regnamespace('log')";

/// Name of the role that sessions use if the account is a member of it.
pub const ROLE_NAME: &str = "daybook_app";

/// Creates the role if necessary; returns true if sessions can use it. Otherwise they use the account itself.
pub async fn ensure_role(client: &Client) -> Result<bool, OpenError> {
    for _ in 0..2 {
        if can_become_role(client).await? {
            return Ok(true);
        }
        client.batch_execute(ROLE).await?;
    }
    can_become_role(client).await
}

async fn can_become_role(client: &Client) -> Result<bool, OpenError> {
    let become_it = format!("set role {ROLE_NAME}; reset role");
    match client.batch_execute(&become_it).await {
        Ok(()) => Ok(true),
        Err(error) => match error.code() {
            Some(&(SqlState::INSUFFICIENT_PRIVILEGE | SqlState::INVALID_PARAMETER_VALUE)) => {
                Ok(false)
            }
            _ => Err(error.into()),
        },
    }
}

/// Grants the sessions' role the rights that it needs; fails with the rights that this account cannot grant.
pub async fn ensure_rights(
    client: &Client,
    account: &str,
    has_role: bool,
) -> Result<(), OpenError> {
    let role = if has_role { ROLE_NAME } else { account };
    for what in missing(client, role).await? {
        // Rights that cannot be granted are reported below, with all others.
        if let Err(error) = client
            .batch_execute(&format!("grant {what} to \"{role}\""))
            .await
        {
            tracing::debug!(what, error = describe(&error), "cannot give a right");
        }
    }
    let missing = missing(client, role).await?;
    if !missing.is_empty() {
        return Err(lacking(client, role, missing.join(", ")).await?);
    }
    take_over(client, role).await
}

/// Fails if there is a log that the account cannot migrate.
pub async fn check_owner(client: &Client, account: &str) -> Result<(), OpenError> {
    match client.query_opt(OWNER, &[]).await? {
        Some(row) if !row.get::<_, bool>(1) => {
            Err(lacking(client, account, "ownership".to_owned()).await?)
        }
        Some(_) | None => Ok(()),
    }
}

async fn lacking(client: &Client, account: &str, missing: String) -> Result<OpenError, OpenError> {
    let owner = client.query_opt(OWNER, &[]).await?;
    Ok(OpenError::Rights {
        account: account.to_owned(),
        missing,
        owner: owner.map_or_else(|| "nobody".to_owned(), |row| row.get(0)),
    })
}

async fn missing(client: &Client, role: &str) -> Result<Vec<String>, OpenError> {
    let rows = client.query(MISSING, &[&role]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Takes over read models that were restored under another owner, or drops them to be rebuilt.
async fn take_over(client: &Client, role: &str) -> Result<(), OpenError> {
    for row in client.query(FOREIGN, &[&role]).await? {
        let table: &str = row.get(0);
        let own = format!("alter table read.\"{table}\" owner to \"{role}\"");
        if client.batch_execute(&own).await.is_err() {
            tracing::warn!(
                table,
                "dropping a table of a read model that belongs to another account; it is rebuilt"
            );
            let drop = format!("drop table read.\"{table}\" cascade");
            client.batch_execute(&drop).await?;
        }
    }
    Ok(())
}
