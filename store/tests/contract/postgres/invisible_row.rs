//! A reader that has seen a position never later sees a new event at or below it, however long a commit takes.

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use store::{Expected, Filter, NewEvent, subscribe};

use crate::backend::{Backend as _, Postgres, is_so};
use crate::harness::{append, append_to, event, given, in_time, log, new_stream, until_head};

/// Blocks the insert of an event of type `held` while another session has the lock.
const HOLD: &str = "
create function hold() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(4711);
    return new;
end $$;
create trigger hold before insert on log.events for each row when (new.type = 'held') execute function hold()";

const IS_HELD: &str = "
select exists (select from pg_locks where locktype = 'advisory' and objid = 4711 and not granted)";

const ANOTHER_WAITS: &str = "select count(*) > 1 from pg_locks where not granted";

const LAST: &str = "select max(position) from log.events";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_passes_an_append_that_is_held_open() {
    in_time(async {
        let backend = Postgres::start().await;
        let nodes = [backend.node().await, backend.node().await];
        let (onlooker, keeper) = (backend.client().await, backend.client().await);
        onlooker.batch_execute(HOLD).await.unwrap();
        given(&*nodes[0], &new_stream(), 2).await;
        until_head(&*nodes[1], 2).await;
        let mut followers = nodes
            .each_ref()
            .map(|node| Box::pin(subscribe(node.clone(), 2, Filter::default())));

        keeper
            .batch_execute("select pg_advisory_lock(4711)")
            .await
            .unwrap();
        let held = NewEvent {
            event_type: "held".into(),
            ..event(&new_stream())
        };
        let append_in_background = |node: usize, append| {
            let node = nodes[node].clone();
            tokio::spawn(async move { node.append(append).await.unwrap() })
        };
        let first = append_in_background(0, append([held.clone()]));
        while !is_so(&onlooker, IS_HELD).await {}
        let later = [0, 1].map(|node| {
            append_in_background(node, append_to(&new_stream(), Expected::NoStream, 1))
        });
        // The other node has either committed or waits for its turn.
        while !later[1].is_finished() && !is_so(&onlooker, ANOTHER_WAITS).await {}

        let (mut seen, mut came) = (0, [vec![], vec![]]);
        for _ in 0..20 {
            let last: i64 = onlooker.query_one(LAST, &[]).await.unwrap().get(0);
            seen = seen.max(last);
            for ((node, follower), came) in nodes.iter().zip(&mut followers).zip(&mut came) {
                let log = log(&**node).await;
                seen = seen.max(log.last().unwrap().position);
                let page = node.read_all(0, &Filter::default(), 10).await.unwrap();
                seen = seen.max(page.scanned_to);
                if let Some(event) = follower.next().now_or_never() {
                    came.push(event.unwrap().unwrap());
                }
            }
        }
        keeper
            .batch_execute("select pg_advisory_unlock(4711)")
            .await
            .unwrap();
        let held_at = first.await.unwrap().position;
        futures::future::try_join_all(later).await.unwrap();

        assert!(
            held_at > seen,
            "{seen} was seen before the event at {held_at} was there"
        );
        for (follower, mut came) in followers.into_iter().zip(came) {
            let rest = follower.take(3 - came.len());
            came.extend(rest.try_collect::<Vec<_>>().await.unwrap());
            assert!(came.iter().map(|event| event.position).eq([3, 4, 5]));
            assert_eq!(
                came[usize::try_from(held_at - 3).unwrap()].event_id,
                held.event_id
            );
        }
    })
    .await;
}
