//! Reads of a long log.

use store::{Append, Filter};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::backend::{Backend as _, Postgres};
use crate::harness::{PRODUCT, append, event, in_time, new_stream, read, until_head};

const LENGTH: i64 = 130_000;
/// Positions of rare events, several stretches of a filtered read apart.
const RARE: [i64; 4] = [7, 120_001, 120_002, 129_999];

const FILL: &str = "
insert into log.events
select position, $2, case when position = any($3) then 'webhook' else 'note' end, gen_random_uuid(), 1,
    gen_random_uuid(), 'note.revised', 1, '{}',
    '{\"actor\": {\"kind\": \"person\", \"id\": \"00000000-0000-0000-0000-000000000001\"}, \"command\": \"note.revise\"}',
    gen_random_uuid(), null, now()
from generate_series(1, $1::bigint) as position";

async fn fill(client: &Client) {
    client
        .execute(FILL, &[&LENGTH, &PRODUCT, &RARE.as_slice()])
        .await
        .unwrap();
    client
        .execute(
            "update log.head set position = $1, recorded_at = now()",
            &[&LENGTH],
        )
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sparse_filter_reads_on_over_empty_pages() {
    in_time(async {
        let backend = Postgres::start().await;
        let other_node = backend.node().await;
        fill(&backend.client().await).await;
        let store = backend.node().await;

        let rare = Filter::categories(["webhook"]);
        let found = read(&*store, &rare, 2).await;
        assert!(found.iter().map(|event| event.position).eq(RARE));
        let nobody = Filter {
            actor_id: Some(Uuid::nil()),
            ..Filter::default()
        };
        assert_eq!(read(&*store, &nobody, 10).await, []);
        let first = store.read_all(0, &rare, 2).await.unwrap();
        assert!(first.scanned_to < RARE[1], "one read is bounded");

        let last = Append {
            product_id: Uuid::nil(),
            ..append([event(&new_stream())])
        };
        store.append(last).await.unwrap();
        let of_product = Filter {
            products: vec![Uuid::nil()],
            ..Filter::default()
        };
        let found = read(&*store, &of_product, 10).await;
        assert!(found.iter().map(|event| event.position).eq([LENGTH + 1]));
        // A node that was open before the log grew is notified of the new head.
        until_head(&*other_node, LENGTH + 1).await;
        assert_eq!(read(&*other_node, &of_product, 10).await, found);
    })
    .await;
}
