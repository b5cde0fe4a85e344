//! Group commit: appends that wait together are committed together, and the next batch starts before the last one is done.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::append_connection::AppendConnection;
use crate::{Append, AppendError, Appended};

/// Maximum number of events in one transaction; the next append waits for the next batch.
const MAX_EVENTS: usize = 4096;
/// Maximum payload bytes in one transaction.
const MAX_BYTES: usize = 8 << 20;
/// Time that a batch waits for expected callers.
const LINGER: Duration = Duration::from_micros(150);
/// Number of callers from which two batches are in flight at a time: on slow disks, fewer callers do better in one batch.
const MANY: usize = 256;

/// An append and the caller that waits for it.
pub struct Pending {
    pub append: Append,
    pub reply: oneshot::Sender<Result<Appended, AppendError>>,
}

/// Gathers appends into batches and commits them.
pub struct Writer {
    queue: mpsc::Receiver<Pending>,
    idle: Vec<AppendConnection>,
    flights: FuturesUnordered<BoxFuture<'static, Landed>>,
    /// Streams that the batches in flight write to.
    written: HashSet<Uuid>,
    /// Number of appends in flight.
    flying: usize,
    /// Number of callers that are expected to append again at once.
    callers: usize,
}

/// An append connection that has committed its batch.
struct Landed {
    connection: AppendConnection,
    appends: usize,
    written: HashSet<Uuid>,
}

/// Appends for one transaction.
#[derive(Default)]
struct Batch {
    appends: Vec<Pending>,
    events: usize,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, pending: Pending) {
        let events = &pending.append.events;
        self.events += events.len();
        self.bytes += events.iter().map(|event| event.data.len()).sum::<usize>();
        self.appends.push(pending);
    }

    const fn is_full(&self) -> bool {
        self.events >= MAX_EVENTS || self.bytes >= MAX_BYTES
    }

    fn touches(&self, streams: &HashSet<Uuid>) -> bool {
        let mut touched = self
            .appends
            .iter()
            .flat_map(|pending| pending.append.streams());
        touched.any(|stream| streams.contains(&stream.id))
    }

    fn written(&self) -> HashSet<Uuid> {
        let events = self
            .appends
            .iter()
            .flat_map(|pending| &pending.append.events);
        events.map(|event| event.stream.id).collect()
    }
}

impl Writer {
    pub fn new(queue: mpsc::Receiver<Pending>, connections: [AppendConnection; 2]) -> Self {
        Self {
            queue,
            idle: connections.into(),
            flights: FuturesUnordered::new(),
            written: HashSet::new(),
            flying: 0,
            callers: 1,
        }
    }

    /// Commits batches until every sender is gone.
    pub async fn run(mut self) {
        while let Some(first) = self.first().await {
            let mut batch = Batch::default();
            batch.push(first);
            self.gather(&mut batch).await;
            self.launch(batch).await;
        }
        self.land_all().await;
    }

    async fn first(&mut self) -> Option<Pending> {
        loop {
            tokio::select! {
                first = self.queue.recv() => return first,
                Some(landed) = self.flights.next() => self.landed(landed),
            }
        }
    }

    /// Adds waiting appends that fit. Callers that were just answered often append again at once: the batch
    /// waits for them while another one is in flight, or otherwise a little.
    async fn gather(&mut self, batch: &mut Batch) {
        let mut linger = Instant::now() + LINGER;
        while !batch.is_full() {
            if let Ok(next) = self.queue.try_recv() {
                batch.push(next);
            } else if batch.appends.len() >= self.enough() && !self.idle.is_empty() {
                return;
            } else if !self.flights.is_empty() {
                tokio::select! {
                    Some(next) = self.queue.recv() => batch.push(next),
                    Some(landed) = self.flights.next() => {
                        self.landed(landed);
                        linger = Instant::now() + LINGER;
                    }
                }
            } else if Instant::now() < linger {
                tokio::task::yield_now().await;
            } else {
                return;
            }
        }
    }

    /// Returns the number of appends that suffice for a batch.
    const fn enough(&self) -> usize {
        if self.callers < MANY {
            self.callers
        } else {
            self.callers.div_ceil(2)
        }
    }

    /// Commits a batch. If it touches streams of batches in flight it waits for those, because only then their heads are known.
    async fn launch(&mut self, batch: Batch) {
        if batch.touches(&self.written) {
            self.land_all().await;
        }
        let mut connection = loop {
            match self.idle.pop() {
                Some(connection) => break connection,
                None => self.land().await,
            }
        };
        let (appends, written) = (batch.appends.len(), batch.written());
        self.written.extend(&written);
        self.flying += appends;
        self.callers = self.flying;
        let mut flight = async move {
            connection.commit(batch.appends).await;
            Landed {
                connection,
                appends,
                written,
            }
        }
        .boxed();
        // Sends the batch at once, not only when there is nothing else to do.
        match (&mut flight).now_or_never() {
            Some(landed) => self.landed(landed),
            None => self.flights.push(flight),
        }
    }

    fn landed(&mut self, landed: Landed) {
        self.flying -= landed.appends;
        for stream in &landed.written {
            self.written.remove(stream);
        }
        self.idle.push(landed.connection);
    }

    async fn land(&mut self) {
        if let Some(landed) = self.flights.next().await {
            self.landed(landed);
        }
    }

    async fn land_all(&mut self) {
        while !self.flights.is_empty() {
            self.land().await;
        }
    }
}
