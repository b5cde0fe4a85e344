//! Heavy work: computing that takes so long that it may not be done where others wait for their turn.

use std::sync::LazyLock;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::task::block_in_place;
use tokio::time::timeout;

/// Bytes of input from which on work is heavy. Less is done sooner than it is handed over.
const HEAVY: usize = 32 << 10;
/// How long heavy work waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// As much is done at once as the machine has cores; the rest waits.
static TURNS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(2, usize::from)));

/// Too much heavy work waits already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server is busy; try again in a moment")]
pub struct Busy;

/// Computes something from so many bytes. If they are many, it waits for a turn and computes off the threads on which everybody else's
/// requests are answered; whoever goes away while waiting is forgotten.
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
    // A runtime of one thread, as in tests, has nobody to hand it over to.
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
        // The only thread is taken by the work, unless that hands it over.
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
