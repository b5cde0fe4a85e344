//! Applies batches of events. A stream with an event that cannot be applied goes into quarantine; all others go on.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use store::{Database, Position, Recorded, Session};

use crate::progress::Progress;
use crate::quarantine::{Quarantine, Quarantined};
use crate::transaction::{Frame, Step};
use crate::{ApplyError, Consumer, Transaction};

/// Consecutive events, up to a position.
pub(crate) struct Stretch {
    pub events: Vec<Recorded>,
    pub to: Position,
}

/// The read model that a stretch is applied to.
pub(crate) enum Place<'a> {
    /// The live read model, whose checkpoint advances.
    Live(&'a Database, &'a mut Progress),
    /// The live read model, in the transaction of a session: events of a quarantined stream, and how often they were retried.
    Behind(&'a Session, i32),
    /// A read model that is being rebuilt, in the transaction of a session.
    Anew(&'a Session),
}

impl Stretch {
    /// Splits a stretch in two, the second beginning with the event at fault if it is known. A single event is returned as the error.
    fn split(mut self, fault: Option<Position>) -> Result<(Self, Self), Box<Recorded>> {
        if self.events.len() == 1
            && let Some(event) = self.events.pop()
        {
            return Err(Box::new(event));
        }
        let fault = fault.and_then(|at| self.events.iter().position(|e| e.position == at));
        let middle = fault.unwrap_or(self.events.len() / 2).max(1);
        let events = self.events.split_off(middle);
        let first = Self {
            to: self.events.last().map_or(0, |event| event.position),
            events: self.events,
        };
        Ok((
            first,
            Self {
                events,
                to: self.to,
            },
        ))
    }
}

impl<'a> Place<'a> {
    const fn transaction(
        &self,
        name: &'static str,
        quarantine: i64,
        to: Position,
    ) -> Transaction<'a> {
        Transaction::of(match self {
            Self::Live(database, progress) => {
                let step = Step {
                    name,
                    quarantine,
                    from: progress.durable(),
                    to,
                };
                Frame::Transaction(database, step)
            }
            Self::Behind(session, _) | Self::Anew(session) => Frame::Savepoint(session),
        })
    }

    /// Notes that a stretch is done; `written`: its checkpoint is stored, too.
    fn passed(&mut self, to: Position, written: bool) {
        if let Self::Live(_, progress) = self {
            progress.advance(to, written);
        }
    }
}

/// Applies a stretch; returns how many of its events made the consumer write.
pub(crate) async fn apply_batch(
    consumer: &dyn Consumer,
    quarantine: &mut Quarantine,
    stretch: Stretch,
    mut place: Place<'_>,
) -> Result<usize, ApplyError> {
    let name = consumer.name();
    let mut written = 0;
    let mut stretches = vec![stretch];
    while let Some(mut stretch) = stretches.pop() {
        stretch
            .events
            .retain(|event| !quarantine.holds(&event.stream));
        let to = stretch.to;
        let mut transaction = place.transaction(name, quarantine.version, to);
        let error = match apply(consumer, &mut transaction, &stretch.events).await {
            Ok(()) => {
                let wrote = transaction.begun();
                place.passed(to, wrote);
                written += if wrote { stretch.events.len() } else { 0 };
                continue;
            }
            Err(error) if error.is_of_an_event() => error,
            Err(error) => return Err(error),
        };
        transaction.roll_back().await?;
        match stretch.split(error.position()) {
            Ok((first, second)) => stretches.extend([second, first]),
            Err(event) if quarantine.skips(&event) => place.passed(to, false),
            Err(event) => {
                let mut held = Quarantined::of(name, &event, &error);
                tracing::error!(
                    projection = name, stream = %held.stream, position = held.position, reason = held.reason,
                    "cannot apply an event; its stream is in quarantine"
                );
                if let Place::Behind(_, retried) = &place {
                    held.retried = *retried;
                }
                if !matches!(place, Place::Anew(_)) {
                    let mut transaction = place.transaction(name, quarantine.version, to);
                    let session = transaction.session().await?;
                    transaction
                        .begin_with(async { Ok(held.write(&**session).await?) })
                        .await?;
                    transaction.commit().await?;
                }
                quarantine.add(held);
                place.passed(to, true);
            }
        }
    }
    Ok(written)
}

/// Applies events. A panic of the consumer counts as an event that cannot be applied.
async fn apply(
    consumer: &dyn Consumer,
    transaction: &mut Transaction<'_>,
    events: &[Recorded],
) -> Result<(), ApplyError> {
    if events.is_empty() {
        return Ok(());
    }
    let applied = AssertUnwindSafe(consumer.apply(transaction, events));
    applied
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| Err(ApplyError::Batch(format!("panicked: {}", said(&*panic)))))
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}
