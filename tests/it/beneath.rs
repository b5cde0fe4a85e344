//! Direct changes to a server's database, which no client can make, such as passing time.

use serde_json::{Value, json};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::harness::{OwnApp, TestApp};

impl TestApp {
    /// Inserts an event into the log without Daybook; returns its position.
    pub async fn smuggle(
        &self,
        stream: (&str, Uuid),
        version: i64,
        event_type: &str,
        data: &Value,
    ) -> i64 {
        const SMUGGLE: &str = "
            with head as (update log.head set position = position + 1, recorded_at = now() returning position)
            insert into log.events
            select position, $1, $2, $3, $4, gen_random_uuid(), $5, 1, $6::text::json, $7::text::json, gen_random_uuid(), null, now()
            from head returning position";
        let metadata =
            json!({"actor": {"kind": "service", "id": Uuid::nil()}, "command": "smuggle"});
        let parameters: [&(dyn ToSql + Sync); 7] = [
            &self.product_id,
            &stream.0,
            &stream.1,
            &version,
            &event_type,
            &data.to_string(),
            &metadata.to_string(),
        ];
        self.ask(SMUGGLE, &parameters).await.get(0)
    }

    /// Makes all waiting jobs of the products due.
    pub async fn bring_forward(&self) {
        const DUE: &str = "update log.jobs set run_at = now()
            where product_id = any($1) and run_at > now() and leased_until is null";
        self.change(DUE, &[&self.products()]).await;
    }
}

impl OwnApp {
    /// Makes the leases of dead workers expire.
    pub async fn lapse_leases(&self) {
        const LAPSE: &str = "update log.jobs set leased_until = now() - interval '1 second' where leased_until is not null";
        self.sql().await.batch_execute(LAPSE).await.unwrap();
    }
}
