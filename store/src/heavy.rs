//! Heavy work: computations that are too long for threads that serve requests.

use std::sync::LazyLock;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::task::block_in_place;
use tokio::time::timeout;

/// Bytes of input from which work is heavy. Smaller work takes less time than handing it over.
const HEAVY: usize = 32 << 10;
/// Maximum time that heavy work waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// One turn per core of the machine; other work waits.
static TURNS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(2, usize::from)));

/// The error if too much heavy work is waiting already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server is busy; try again in a moment")]
pub struct Busy;

/// Computes something from so many bytes. Heavy work waits for a turn and blocks no thread that serves other
/// requests; a caller that goes away while waiting gives up its place.
pub async fn heavy<T>(bytes: usize, work: impl FnOnce() -> T + Send) -> Result<T, Busy> {
    if bytes < HEAVY {
        return Ok(work());
    }
    in_turn(&TURNS, PATIENCE, work).await
}

async fn in_turn<T>(
    turns: &Semaphore,
    patience: Duration,
    work: impl FnOnce() -> T + Send,
) -> Result<T, Busy> {
    let turn = timeout(patience, turns.acquire()).await;
    let _turn = turn.map_err(|_| Busy)?.map_err(|_| Busy)?;
    // A runtime of one thread, as in tests, has no other thread to hand over to.
    let hands_over = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    Ok(if hands_over {
        block_in_place(work)
    } else {
        work()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn others_go_on_while_heavy_work_is_done() {
        let (told, waits) = mpsc::channel();
        let work = tokio::spawn(heavy(HEAVY, move || waits.recv()));
        // The work holds the only thread, unless it hands it over.
        let other = tokio::spawn(async move { told.send("done") });
        other.await.unwrap().unwrap();
        assert_eq!(work.await.unwrap(), Ok(Ok("done")));
    }

    #[tokio::test]
    async fn work_that_waits_too_long_for_its_turn_is_refused() {
        let turns = Semaphore::new(1);
        let moment = Duration::from_millis(10);
        assert_eq!(in_turn(&turns, moment, || 7).await, Ok(7));
        let taken = turns.acquire().await.unwrap();
        assert_eq!(in_turn(&turns, moment, || 7).await, Err(Busy));
        drop(taken);
        assert_eq!(in_turn(&turns, moment, || 7).await, Ok(7));
    }
}
