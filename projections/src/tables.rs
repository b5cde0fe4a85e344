//! The tables of read models: the expected ones and the missing ones.

use tokio_postgres::{Error, GenericClient};

use crate::Consumer;

/// Returns the names of the tables that statements create.
fn made_by(ddl: &str) -> impl Iterator<Item = &str> {
    ddl.lines().filter_map(|line| {
        let rest = line.strip_prefix("create table ")?;
        rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .next()
    })
}

/// Returns the statements that drop the tables of a consumer.
pub fn drop_all(consumer: &dyn Consumer) -> String {
    made_by(consumer.ddl())
        .map(|table| format!("drop table if exists read.{table} cascade;"))
        .collect()
}

/// Returns the names of missing tables of consumers.
pub async fn missing(
    client: &impl GenericClient,
    consumers: &[&dyn Consumer],
) -> Result<Vec<String>, Error> {
    const MISSING: &str =
        "select name from unnest($1::text[]) as name where to_regclass('read.' || name) is null";
    let tables: Vec<&str> = consumers
        .iter()
        .flat_map(|consumer| made_by(consumer.ddl()))
        .collect();
    let rows = client.query(MISSING, &[&tables]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_found_in_the_statements_that_make_them() {
        let ddl = "-- create table of nothing\ncreate table notes (\n    id uuid\n);\ncreate index on notes (id);\ncreate table words(id uuid);\n";
        assert_eq!(made_by(ddl).collect::<Vec<_>>(), ["notes", "words"]);
    }

    #[test]
    fn every_read_model_makes_a_table() {
        for model in crate::models() {
            let ddl = model.ddl();
            let statements = ddl.matches("create table").count();
            assert!(
                statements > 0 && made_by(ddl).count() == statements,
                "the DDL of {} has {statements} times `create table`, but {:?} are found: begin each on a line of its own",
                model.name(),
                made_by(ddl).collect::<Vec<_>>()
            );
        }
    }
}
