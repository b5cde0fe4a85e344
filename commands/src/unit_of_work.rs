//! The unit of work of one command: the streams it has read, and the events it would append, all or none.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, UNIX_EPOCH};

use chrono::{SubsecRound, Utc};
use domain::{
    Aggregate, DecisionContext, EventContract, Permission, RequiredPermission, ResourceScope,
    StreamId, encode_payload,
};
use serde::Serialize;
use store::{Append, Appended, Expected, Metadata, NewEvent, Position, ReceiptKey, Recorded};
use uuid::Uuid;

use crate::resource_scopes::{self, is_resource_scope};
use crate::{CommandError, Loaded, Repository, Request, reservations};

/// An event that a dry run would append.
#[derive(Debug, Clone, Serialize)]
pub struct Planned {
    pub stream: StreamId,
    pub version: i64,
    #[serde(rename = "type")]
    pub event_type: String,
    pub data: serde_json::Value,
}

/// The streams that a command has read, and the events that it has staged.
///
/// Every stream that was read is guarded: if one has changed by the time of the append, the command runs again.
pub struct UnitOfWork<'a> {
    repository: &'a Repository,
    request: &'a Request,
    source: Source,
    context: DecisionContext,
    streams: HashMap<StreamId, Box<dyn Tracked>>,
    staged: Vec<NewEvent>,
    command: String,
    causation_id: Option<Uuid>,
    on_behalf_of: Option<domain::Actor>,
    reason: Option<String>,
    remembered: bool,
    /// The last state that was loaded at a version, because most actions of a proposal are written for the same one.
    past: Option<(StreamId, i64, Box<dyn Any + Send>)>,
}

/// The source of a command's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The memory of this node.
    Memory,
    /// The log, and the appends in flight.
    Current,
    /// The log.
    Log,
    /// The log at a position, but with the current permissions in resource scopes.
    Past(Position),
}

/// A stream that was read, and its state including the staged events.
struct TrackedStream<A> {
    base_version: i64,
    /// The state before anything was staged, to go back to.
    base: Loaded<A>,
    current: Loaded<A>,
}

/// A [`TrackedStream`] of any aggregate.
trait Tracked: Any + Send {
    fn expected(&self) -> Expected;
    fn base_version(&self) -> i64;
    /// Goes back to the base plus the given staged events.
    fn go_back(&mut self, kept: &mut dyn Iterator<Item = &NewEvent>) -> Result<(), CommandError>;
    fn is_current(&self, repository: &Repository) -> bool;
    fn announce(&self, repository: &Repository, product_id: Uuid);
    fn keep(self: Box<Self>, repository: &Repository, product_id: Uuid, as_of: Position);
}

impl<A: Aggregate> Tracked for TrackedStream<A> {
    fn base_version(&self) -> i64 {
        self.base_version
    }

    fn expected(&self) -> Expected {
        match (self.base_version, self.base.last_event) {
            (0, _) => Expected::NoStream,
            (version, Some(event_id)) if self.base.in_flight => {
                Expected::After { version, event_id }
            }
            (version, _) => Expected::Exact(version),
        }
    }

    fn go_back(&mut self, kept: &mut dyn Iterator<Item = &NewEvent>) -> Result<(), CommandError> {
        self.current = self.base.clone();
        for event in kept {
            let change = A::Event::decode(&event.event_type, event.contract_version, &event.data)?;
            self.current.stage(&change, event.event_id, &event.data);
        }
        Ok(())
    }

    fn is_current(&self, repository: &Repository) -> bool {
        repository.is_current(&self.base)
    }

    fn announce(&self, repository: &Repository, product_id: Uuid) {
        if self.current.version > self.base_version {
            repository.announce(Loaded {
                product_id: Some(product_id),
                ..self.current.clone()
            });
        }
    }

    fn keep(self: Box<Self>, repository: &Repository, product_id: Uuid, as_of: Position) {
        if self.current.version > self.base_version {
            repository.keep(Loaded {
                product_id: Some(product_id),
                as_of,
                ..self.current
            });
        }
    }
}

impl<'a> UnitOfWork<'a> {
    pub(crate) fn open(
        repository: &'a Repository,
        request: &'a Request,
        command: &str,
        source: Source,
    ) -> Self {
        Self {
            repository,
            request,
            source,
            context: DecisionContext {
                // Truncated to the precision of read models, so that the response equals what is read later.
                now: Utc::now().trunc_subsecs(6),
                actor: request.actor,
                controller: request.controller,
                is_operator: request.is_operator,
            },
            streams: HashMap::new(),
            staged: Vec::new(),
            command: command.to_owned(),
            causation_id: request.causation_id,
            on_behalf_of: None,
            reason: request.reason.clone(),
            remembered: false,
            past: None,
        }
    }

    /// Returns the request of the command.
    #[must_use]
    pub const fn request(&self) -> &Request {
        self.request
    }

    /// Returns the time and actor of the decision.
    #[must_use]
    pub const fn context(&self) -> DecisionContext {
        self.context
    }

    /// Returns the state of a stream, including this command's own events. Another product's stream is absent.
    pub async fn load<A: Aggregate>(&mut self, id: Uuid) -> Result<&Loaded<A>, CommandError> {
        Ok(&self.tracked::<A>(id).await?.current)
    }

    /// Returns the version of a stream before this command.
    pub async fn base_version<A: Aggregate>(&mut self, id: Uuid) -> Result<i64, CommandError> {
        Ok(self.tracked::<A>(id).await?.base_version)
    }

    /// Returns the state of a stream before this command.
    pub async fn before<A: Aggregate>(&mut self, id: Uuid) -> Result<&Loaded<A>, CommandError> {
        Ok(&self.tracked::<A>(id).await?.base)
    }

    async fn tracked<A: Aggregate>(
        &mut self,
        id: Uuid,
    ) -> Result<&mut TrackedStream<A>, CommandError> {
        let stream = StreamId::of::<A>(id);
        if !self.streams.contains_key(&stream) {
            let loaded = self.read::<A>(id).await?.seen_by(self.request.product_id);
            let tracked = TrackedStream {
                base_version: loaded.version,
                base: loaded.clone(),
                current: loaded,
            };
            self.streams.insert(stream.clone(), Box::new(tracked));
        }
        self.streams
            .get_mut(&stream)
            .and_then(|tracked| (tracked.as_mut() as &mut dyn Any).downcast_mut())
            .ok_or_else(|| CommandError::Damaged(format!("{stream} is not a {}", A::CATEGORY)))
    }

    async fn read<A: Aggregate>(&mut self, id: Uuid) -> Result<Loaded<A>, CommandError> {
        let remembered = match self.source {
            Source::Past(position) if !is_resource_scope(A::CATEGORY) => {
                return self.repository.at_position(id, position).await;
            }
            Source::Log | Source::Past(_) => None,
            Source::Current => self.repository.in_flight(id),
            Source::Memory => self
                .repository
                .in_flight(id)
                .or_else(|| self.repository.kept(id))
                .or_else(|| is_new(id).then(|| Loaded::empty(id))),
        };
        if let Some(loaded) = remembered {
            self.remembered = true;
            return Ok(loaded);
        }
        self.repository.latest(id).await
    }

    /// Decides a command on a stream and stages its events; returns the ids of the new events.
    pub async fn decide<A: Aggregate>(
        &mut self,
        id: Uuid,
        command: A::Command,
    ) -> Result<Vec<Uuid>, CommandError> {
        let context = self.context;
        let loaded = self.load::<A>(id).await?;
        let unique = loaded.state.unique();
        match loaded.state.required_permission(id, &command, &context) {
            RequiredPermission::Operator if !self.request.is_operator => {
                return Err(CommandError::OperatorOnly);
            }
            RequiredPermission::Product | RequiredPermission::Operator => {}
            RequiredPermission::Member {
                category,
                id,
                permission,
            } => resource_scopes::permit(self, category, id, permission).await?,
        }
        let ids = self.stage_decided::<A>(id, command).await?;
        let changed = self.load::<A>(id).await?.state.unique();
        if changed != unique {
            let holder = StreamId::of::<A>(id);
            reservations::change(self, &holder, A::CATEGORY, unique, changed).await?;
        }
        Ok(ids)
    }

    /// Decides a command that the actor may issue, and stages its events; returns their ids.
    pub(crate) async fn stage_decided<A: Aggregate>(
        &mut self,
        id: Uuid,
        command: A::Command,
    ) -> Result<Vec<Uuid>, CommandError> {
        let context = self.context;
        let past = self.past_scope::<A>(id).await?;
        let tracked = self.tracked::<A>(id).await?;
        let events = past
            .as_ref()
            .unwrap_or(&tracked.current.state)
            .decide(command, &context)
            .map_err(CommandError::refused)?;
        let stream = StreamId::of::<A>(id);
        let mut ids = Vec::with_capacity(events.len());
        for event in events {
            let data = encode_payload(&event)?;
            let tracked = self.tracked::<A>(id).await?;
            let event_id = Uuid::now_v7();
            let before = tracked.current.stage(&event, event_id, &data);
            let workspace_id = tracked.current.workspace_id;
            self.stage(
                stream.clone(),
                workspace_id,
                &event,
                event_id,
                data,
                before.filter(|_| A::CHAINED),
            );
            ids.push(event_id);
        }
        Ok(ids)
    }

    /// Returns a resource scope as it was at a past position, for decisions on the resource scope itself: an effect of the
    /// first run must not refuse the repetition. Permissions are those in the current state.
    async fn past_scope<A: Aggregate>(&mut self, id: Uuid) -> Result<Option<A>, CommandError> {
        match self.source {
            Source::Past(position) if is_resource_scope(A::CATEGORY) => {
                let loaded = self.repository.at_position::<A>(id, position).await?;
                Ok(Some(loaded.seen_by(self.request.product_id).state))
            }
            Source::Memory | Source::Current | Source::Log | Source::Past(_) => Ok(None),
        }
    }

    /// Refuses unless the actor's role in the resource scope grants the permission.
    pub async fn permit<S: ResourceScope>(
        &mut self,
        id: Uuid,
        permission: Permission,
    ) -> Result<(), CommandError> {
        let actor = self.context.actor;
        self.load::<S>(id)
            .await?
            .state
            .permit(&actor, permission)
            .map_err(CommandError::refused)
    }

    /// Stages an event; `cause` applies if nobody has named one.
    fn stage(
        &mut self,
        stream: StreamId,
        workspace_id: Option<Uuid>,
        event: &impl EventContract,
        event_id: Uuid,
        data: String,
        cause: Option<Uuid>,
    ) {
        self.staged.push(NewEvent {
            stream,
            event_id,
            event_type: event.event_type().to_owned(),
            contract_version: event.version(),
            data,
            metadata: Metadata {
                actor: self.request.actor,
                credential: self.request.credential,
                on_behalf_of: self.on_behalf_of,
                command: self.command.clone(),
                command_key: self.request.idempotency.as_ref().map(|i| i.key.clone()),
                reason: self.reason.clone(),
                traceparent: self.request.traceparent.clone(),
            },
            correlation_id: self.request.correlation_id,
            causation_id: self.causation_id.or(cause),
            workspace_id,
        });
    }

    /// Sets an event of this command as the cause of the events staged from now on.
    pub fn caused_by(&mut self, event_id: Option<Uuid>) {
        self.causation_id = event_id.or(self.request.causation_id);
    }

    /// Stages the following events on behalf of another actor, with the given reason.
    pub fn on_behalf_of(&mut self, actor: domain::Actor, reason: String) {
        self.on_behalf_of = Some(actor);
        self.reason = Some(reason);
    }

    /// Decides the following commands on the authority of another actor, whose role counts.
    pub const fn on_authority_of(&mut self, actor: domain::Actor) {
        self.context = DecisionContext::of(actor, self.context.now);
    }

    /// Decides the following commands as the sender of the command again.
    pub const fn on_own_authority(&mut self) {
        self.context.actor = self.request.actor;
        self.context.controller = self.request.controller;
    }

    /// Returns a state right after a version.
    pub async fn at_version<A: Aggregate>(
        &mut self,
        id: Uuid,
        version: i64,
    ) -> Result<A, CommandError> {
        let stream = StreamId::of::<A>(id);
        if let Some((known, at, state)) = &self.past
            && (known, *at) == (&stream, version)
            && let Some(state) = state.downcast_ref::<A>()
        {
            return Ok(state.clone());
        }
        let loaded = self.repository.at_version::<A>(id, version).await?;
        let state = loaded.seen_by(self.request.product_id).state;
        self.past = Some((stream, version, Box::new(state.clone())));
        Ok(state)
    }

    /// Returns true if one command made all changes of a stream after a version and before this command.
    pub(crate) async fn is_changed_by<A: Aggregate>(
        &mut self,
        id: Uuid,
        version: i64,
        command: &str,
    ) -> Result<bool, CommandError> {
        let expected = self.base_version::<A>(id).await? - version;
        if expected == 0 {
            return Ok(true);
        }
        let commands = self.repository.commands_after::<A>(id, version).await?;
        let is_known = i64::try_from(commands.len()) == Ok(expected);
        Ok(is_known && commands.iter().all(|done| done == command))
    }

    /// Discards what was staged since the unit of work held `kept` events; the affected streams go back to their states
    /// at that time.
    pub fn discard(&mut self, kept: usize) -> Result<(), CommandError> {
        let lost: HashSet<StreamId> = self.staged.drain(kept..).map(|e| e.stream).collect();
        for stream in lost {
            if let Some(tracked) = self.streams.get_mut(&stream) {
                tracked.go_back(&mut self.staged.iter().filter(|e| e.stream == stream))?;
            }
        }
        Ok(())
    }

    /// Returns the number of staged events.
    #[must_use]
    pub const fn staged(&self) -> usize {
        self.staged.len()
    }

    /// Returns true if any state came from this node's memory and may be behind the log.
    pub(crate) const fn remembered(&self) -> bool {
        self.remembered
    }

    /// Returns the version of a stream before this command, if it was read.
    pub(crate) fn base_version_of(&self, stream: &StreamId) -> Option<i64> {
        self.streams
            .get(stream)
            .map(|tracked| tracked.base_version())
    }

    /// Returns the version of a stream after this command.
    pub(crate) fn version_of(&self, stream: &StreamId) -> i64 {
        let staged = self.staged.iter().filter(|e| e.stream == *stream).count();
        self.base_version_of(stream).unwrap_or_default() + i64::try_from(staged).unwrap_or_default()
    }

    pub(crate) fn planned(&self) -> Vec<Planned> {
        let mut next: HashMap<&StreamId, i64> = HashMap::new();
        self.staged
            .iter()
            .map(|event| {
                let version = next
                    .entry(&event.stream)
                    .or_insert_with(|| self.base_version_of(&event.stream).unwrap_or_default());
                *version += 1;
                Planned {
                    stream: event.stream.clone(),
                    version: *version,
                    event_type: event.event_type.clone(),
                    data: serde_json::from_str(&event.data).unwrap_or_default(),
                }
            })
            .collect()
    }

    pub(crate) fn append(&self, receipt: Option<ReceiptKey>) -> Append {
        Append {
            product_id: self.request.product_id,
            expectations: self
                .streams
                .iter()
                .map(|(stream, tracked)| (stream.clone(), tracked.expected()))
                .collect(),
            events: self.staged.clone(),
            receipt,
        }
    }

    /// Returns true if this node knows no newer version of any stream that was read.
    pub(crate) fn is_current(&self) -> bool {
        let mut streams = self.streams.values();
        streams.all(|tracked| tracked.is_current(self.repository))
    }

    /// Lets other commands be decided on the events that this one is about to append.
    pub(crate) fn announce(&self) {
        for tracked in self.streams.values() {
            tracked.announce(self.repository, self.request.product_id);
        }
    }

    /// Withdraws the announced states, whose events are not in the log.
    pub(crate) fn withdraw(&self) {
        for event in &self.staged {
            self.repository.withdraw(&event.stream);
        }
    }

    /// Caches the states after the append; returns its events as the log has them.
    pub(crate) fn close(self, appended: &Appended) -> Vec<Recorded> {
        let product_id = self.request.product_id;
        for tracked in self.streams.into_values() {
            tracked.keep(self.repository, product_id, appended.position);
        }
        self.staged
            .into_iter()
            .zip(&appended.placed)
            .map(|(event, place)| Recorded::placed(event, product_id, *place, appended.recorded_at))
            .collect()
    }
}

/// Returns true if an id is so recent that its stream most likely has no event yet. If it has one, the append fails.
fn is_new(id: Uuid) -> bool {
    const NEW: Duration = Duration::from_secs(1);
    let made = id.get_timestamp().map(|timestamp| timestamp.to_unix());
    made.is_some_and(|(seconds, nanoseconds)| {
        let age = UNIX_EPOCH.elapsed().unwrap_or_default();
        age.abs_diff(Duration::new(seconds, nanoseconds)) < NEW
    })
}

#[cfg(test)]
#[path = "unit_of_work_tests.rs"]
mod tests;
