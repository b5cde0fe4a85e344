//! Runs a command: checks the scope and the idempotency key, decides, appends, and retries after concurrent changes.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use domain::identity::scope;
use domain::{ActorKind, Aggregate, Class, StreamId};
use futures::future::BoxFuture;
use store::{AppendError, Appended, EventStore, Expected, Position, Receipt, ReceiptKey, Recorded};
use uuid::Uuid;

use crate::unit_of_work::Source;
use crate::writes::Writes;
use crate::{CommandError, Planned, Repository, Request, UnitOfWork};

/// Maximum number of times that a command is decided if others change its streams concurrently.
const ATTEMPTS: u32 = 32;

/// A command that can be run: it reads streams and stages events, and may be run again from the start.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Returns the name for metadata, logs and metrics: `note.revise`.
    fn name(&self) -> String;
    /// Returns the context whose `write` scope the command needs.
    fn context(&self) -> &'static str;
    /// Returns true if agents may issue the command. By default they only read and propose, whatever their scopes and
    /// role.
    fn agents_may(&self) -> bool {
        false
    }
    /// Returns the stream that the response is read from and that `If-Match` refers to.
    fn stream(&self) -> StreamId;
    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError>;
}

/// A command on one aggregate, without any other checks.
pub struct On<A: Aggregate> {
    pub id: Uuid,
    pub command: A::Command,
}

#[async_trait]
impl<A: Aggregate> Handler for On<A> {
    fn name(&self) -> String {
        self.command.as_ref().to_owned()
    }

    fn context(&self) -> &'static str {
        A::SCOPE
    }

    fn agents_may(&self) -> bool {
        A::agents_may(&self.command)
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<A>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        work.decide::<A>(self.id, self.command.clone()).await?;
        Ok(())
    }
}

/// The result of a command.
#[derive(Debug, Clone)]
pub struct Done {
    /// The stream that the response is read from; for a repetition, that of the first run.
    pub stream: StreamId,
    /// Position of the last event; the log's head if no event was needed.
    pub position: Position,
    /// Version of the command's stream.
    pub version: i64,
    /// True if the same command was run before; this is its result.
    pub replayed: bool,
    /// The events that were appended by this run.
    pub events: Vec<Recorded>,
    /// The events that a dry run would have appended.
    pub planned: Option<Vec<Planned>>,
}

impl Done {
    const fn at(stream: StreamId, position: Position, version: i64) -> Self {
        Self {
            stream,
            position,
            version,
            replayed: false,
            events: vec![],
            planned: None,
        }
    }
}

/// Runs commands.
pub struct Executor {
    store: Arc<dyn EventStore>,
    repository: Repository,
    in_progress: Mutex<HashSet<[u8; 32]>>,
    writes: Writes,
}

impl Executor {
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self {
            repository: Repository::new(Arc::clone(&store)),
            store,
            in_progress: Mutex::default(),
            writes: Writes::default(),
        }
    }

    /// Returns the repository that states are loaded from.
    pub const fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Runs a command completely: either its events are in the log, or nothing has changed.
    #[tracing::instrument(skip_all, fields(command = handler.name(), correlation_id = %request.correlation_id))]
    pub async fn execute(
        &self,
        request: &Request,
        handler: &dyn Handler,
    ) -> Result<Done, CommandError> {
        let result = self.authorise_and_run(request, handler).await;
        let outcome = match &result {
            Ok(done) if done.planned.is_some() => "dry_run",
            Ok(done) if done.replayed => "replayed",
            Ok(_) => "ok",
            Err(error) => error.outcome(),
        };
        if let (Ok(done), Some(credential)) = (&result, request.credential)
            && (done.replayed || !done.events.is_empty())
        {
            self.writes.note(credential, done.position);
        }
        metrics::counter!("daybook_commands_total", "command" => handler.name(), "outcome" => outcome)
            .increment(1);
        tracing::debug!(outcome, "command");
        result
    }

    /// Returns the last position that a credential has written through this node; -1 if there is none.
    #[must_use]
    pub fn written_by(&self, credential: Uuid) -> Position {
        self.writes.last(credential)
    }

    /// Returns a unit of work for previews of decisions. Its events are never appended.
    #[must_use]
    pub fn scratch<'a>(&'a self, request: &'a Request) -> UnitOfWork<'a> {
        UnitOfWork::open(&self.repository, request, "", Source::Log)
    }

    async fn authorise_and_run(
        &self,
        request: &Request,
        handler: &dyn Handler,
    ) -> Result<Done, CommandError> {
        let needed = format!("{}:write", handler.context());
        if !scope::grants(&request.scopes, &needed) {
            return Err(CommandError::ScopeMissing(needed));
        }
        if request.actor.kind == ActorKind::Agent && !handler.agents_may() {
            return Err(CommandError::AgentNotAllowed);
        }
        let receipt = request.receipt(handler.stream());
        let Some(receipt) = receipt.filter(|_| !request.dry_run) else {
            return self.run(request, handler, None).await;
        };
        let _turn = Turn::take(&self.in_progress, receipt.key)?;
        let error = match self.run(request, handler, Some(&receipt)).await {
            Err(error) if may_be_own_effect(&error) => error,
            result => return result,
        };
        match self.store.receipt(&receipt.key).await? {
            Some(stored) if self.still_may(request, handler, &stored).await? => {
                answer(&stored, &receipt)
            }
            Some(_) | None => Err(error),
        }
    }

    /// Returns true if the caller of a repetition would still be allowed the command. Decides it again on the state of
    /// the first run, but with the current permissions.
    async fn still_may(
        &self,
        request: &Request,
        handler: &dyn Handler,
        first: &Receipt,
    ) -> Result<bool, CommandError> {
        let events = Position::try_from(first.event_ids.len()).unwrap_or_default();
        let source = Source::Past(first.position - events);
        let mut work = UnitOfWork::open(&self.repository, request, "", source);
        match handler.handle(&mut work).await {
            Ok(()) => Ok(true),
            Err(CommandError::Refused(refusal)) => {
                Ok(!matches!(refusal.class(), Class::Forbidden | Class::Absent))
            }
            Err(error) => Err(error),
        }
    }

    async fn run(
        &self,
        request: &Request,
        handler: &dyn Handler,
        receipt: Option<&ReceiptKey>,
    ) -> Result<Done, CommandError> {
        let name = handler.name();
        // A preview reads from the log, never from memory.
        let mut source = if request.dry_run {
            Source::Log
        } else {
            Source::Memory
        };
        for _ in 0..ATTEMPTS {
            let mut work = UnitOfWork::open(&self.repository, request, &name, source);
            let decided = match handler.handle(&mut work).await {
                Ok(()) => precondition(request, handler, &work),
                Err(error) => Err(error),
            };
            // A refusal, or a result without events, counts only if it is based on the log.
            if work.remembered() && (decided.is_err() || work.staged() == 0) {
                source = Source::Log;
                continue;
            }
            decided?;
            match self.conclude(request, handler, work, receipt).await {
                Ok(None) | Err(AppendError::Conflict { .. }) => source = Source::Current,
                Err(AppendError::Repeated(stored)) => {
                    return receipt
                        .map_or(Err(CommandError::KeyReused), |key| answer(&stored, key));
                }
                Err(error) => return Err(error.into()),
                Ok(Some(done)) => return Ok(done),
            }
        }
        Err(CommandError::Contention(handler.stream().to_string()))
    }

    /// Appends the staged events; none if another command was faster.
    async fn conclude(
        &self,
        request: &Request,
        handler: &dyn Handler,
        work: UnitOfWork<'_>,
        receipt: Option<&ReceiptKey>,
    ) -> Result<Option<Done>, AppendError> {
        let stream = handler.stream();
        let version = work.version_of(&stream);
        let head = *self.store.head().borrow();
        if request.dry_run {
            return Ok(Some(Done {
                planned: Some(work.planned()),
                ..Done::at(stream, head, version)
            }));
        }
        if work.staged() == 0 && receipt.is_none() {
            return Ok(Some(Done::at(stream, head, version)));
        }
        let Some(appending) = self.hand_over(&work, receipt) else {
            return Ok(None);
        };
        match appending.await {
            Ok(appended) => Ok(Some(Done {
                events: work.close(&appended),
                ..Done::at(stream, appended.position, version)
            })),
            Err(error) => {
                work.withdraw();
                self.withdraw_missing(&error);
                Err(error)
            }
        }
    }

    /// Withdraws the state in flight that an append was decided on, if its last event is not the last one in the log. Whoever
    /// announced it may be gone without withdrawing it, and then every command that reads the stream would conflict.
    fn withdraw_missing(&self, error: &AppendError) {
        if let AppendError::Conflict {
            stream,
            expected: Expected::After { .. },
            ..
        } = error
        {
            self.repository.withdraw(stream);
        }
    }

    /// Starts the append. None if a remembered state is out of date, because the append would fail.
    fn hand_over(
        &self,
        work: &UnitOfWork<'_>,
        receipt: Option<&ReceiptKey>,
    ) -> Option<BoxFuture<'_, Result<Appended, AppendError>>> {
        let append = work.append(receipt.cloned());
        let _order = self.repository.order();
        let current = work.is_current();
        if current {
            work.announce();
        } else if work.remembered() {
            return None;
        }
        Some(self.store.append(append))
    }
}

fn precondition(
    request: &Request,
    handler: &dyn Handler,
    work: &UnitOfWork<'_>,
) -> Result<(), CommandError> {
    let actual = work.base_version_of(&handler.stream()).unwrap_or_default();
    if request.if_match.is_empty() || request.if_match.contains(&actual) {
        Ok(())
    } else {
        Err(CommandError::PreconditionFailed(actual))
    }
}

/// Returns true for an error that the first run may cause in a repetition. A missing permission is not such an error.
fn may_be_own_effect(error: &CommandError) -> bool {
    if let CommandError::Refused(refusal) = error {
        refusal.class() != Class::Forbidden
    } else {
        matches!(error, CommandError::PreconditionFailed(_))
    }
}

/// Returns the first result if the repetition has the same content.
fn answer(stored: &Receipt, wanted: &ReceiptKey) -> Result<Done, CommandError> {
    if stored.fingerprint == wanted.fingerprint {
        Ok(Done {
            replayed: true,
            ..Done::at(stored.stream.clone(), stored.position, stored.version)
        })
    } else {
        Err(CommandError::KeyReused)
    }
}

/// The right to run a command under an idempotency key; released when dropped.
struct Turn<'a> {
    in_progress: &'a Mutex<HashSet<[u8; 32]>>,
    key: [u8; 32],
}

impl<'a> Turn<'a> {
    fn take(
        in_progress: &'a Mutex<HashSet<[u8; 32]>>,
        key: [u8; 32],
    ) -> Result<Self, CommandError> {
        let mut keys = in_progress.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.insert(key) {
            Ok(Self { in_progress, key })
        } else {
            Err(CommandError::InProgress)
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.in_progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}

#[cfg(test)]
#[path = "executor_tests/mod.rs"]
mod tests;
