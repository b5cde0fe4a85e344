//! Keeps the tasks of a note in line with its task lines, and removes them with the note.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use commands::knowledge::checklist::Follow;
use commands::{On, Request};
use domain::Actor;
use domain::Aggregate;
use domain::knowledge::checklist::Checklist;
use domain::knowledge::note::{Note, NoteEvent};
use domain::knowledge::task::{Task, TaskCommand, TaskRefusal};
use domain::knowledge::task_line::may_have_task_lines;
use projections::knowledge::{checklist, task};
use projections::{ApplyError, Readers};
use serde::{Deserialize, Serialize};
use store::{Position, Recorded};
use uuid::Uuid;

use crate::job_handler::{JobHandler, Outcome};
use crate::jobs::Job;
use crate::reaction::{Consequences, Reaction};
use crate::{NewJob, WorkerContext};

/// A note whose tasks may no longer match its text.
#[derive(Serialize, Deserialize)]
pub struct Reading {
    note_id: Uuid,
    /// The note's last event so far, and its position.
    event_id: Uuid,
    position: Position,
    correlation_id: Uuid,
    author: Actor,
    /// True if the note is purged.
    purged: bool,
}

/// The effect of an event on the task lines of its note.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    /// There may be task lines.
    Possible,
    /// There are no task lines now; there may have been some before.
    Absent,
    /// The note is purged.
    Gone,
}

/// Schedules a job for every note whose task lines may have changed.
pub struct Notes {
    context: WorkerContext,
    readers: Readers,
}

impl Notes {
    pub const fn new(context: WorkerContext, readers: Readers) -> Self {
        Self { context, readers }
    }

    /// Returns those of some notes that have task lines, as of a position.
    async fn known(
        &self,
        note_ids: &[Uuid],
        position: Position,
    ) -> Result<HashSet<Uuid>, ApplyError> {
        if note_ids.is_empty() {
            return Ok(HashSet::new());
        }
        self.readers
            .wait(Checklist::CATEGORY, position)
            .await
            .map_err(|error| ApplyError::Retry(error.to_string()))?;
        let known = checklist::among(&self.context.database, note_ids)
            .await
            .map_err(|error| ApplyError::Retry(error.to_string()))?;
        Ok(known.into_iter().collect())
    }
}

#[async_trait]
impl Reaction for Notes {
    const NAME: &'static str = "checklist_notes";
    const CATEGORIES: &'static [&'static str] = &[Note::CATEGORY];

    async fn react(&self, events: &[Recorded]) -> Result<Consequences, ApplyError> {
        // One job per note, for its state after all events.
        let mut touched: BTreeMap<Uuid, (Lines, &Recorded)> = BTreeMap::new();
        for event in events {
            let change = event
                .decode::<NoteEvent>()
                .map_err(|error| ApplyError::contract(event, &error))?;
            if let Some(lines) = lines(&change) {
                touched.insert(event.stream.id, (lines, event));
            }
        }
        let bare = touched
            .iter()
            .filter(|(_, (lines, _))| *lines == Lines::Absent);
        let bare: Vec<Uuid> = bare.map(|(id, _)| *id).collect();
        let position = events.last().map_or(0, |event| event.position);
        let known = self.known(&bare, position).await?;
        let wanted = touched
            .iter()
            .filter(|(id, (lines, _))| *lines != Lines::Absent || known.contains(id));
        Ok(Consequences {
            schedule: wanted
                .map(|(_, (lines, event))| reading(event, *lines == Lines::Gone))
                .collect(),
            ..Consequences::default()
        })
    }
}

fn lines(change: &NoteEvent) -> Option<Lines> {
    match change {
        NoteEvent::Created { body, .. } => may_have_task_lines(body).then_some(Lines::Possible),
        NoteEvent::Revised {
            body: Some(body), ..
        } => Some(if may_have_task_lines(body) {
            Lines::Possible
        } else {
            Lines::Absent
        }),
        NoteEvent::Purged {} => Some(Lines::Gone),
        NoteEvent::Revised { body: None, .. }
        | NoteEvent::Tagged { .. }
        | NoteEvent::Linked { .. }
        | NoteEvent::Unlinked { .. }
        | NoteEvent::Archived {}
        | NoteEvent::Trashed {}
        | NoteEvent::Restored {} => None,
    }
}

fn reading(event: &Recorded, purged: bool) -> NewJob {
    let reading = Reading {
        note_id: event.stream.id,
        event_id: event.event_id,
        position: event.position,
        correlation_id: event.correlation_id,
        author: event.metadata.actor,
        purged,
    };
    NewJob::of::<FollowLines>(event, &reading)
}

/// Makes the tasks of a note match its lines.
pub struct FollowLines {
    context: WorkerContext,
    readers: Readers,
}

impl FollowLines {
    pub const fn new(context: WorkerContext, readers: Readers) -> Self {
        Self { context, readers }
    }

    async fn follow(&self, item: &Job, reading: &Reading) -> Result<(), String> {
        let follow = Follow {
            note_id: reading.note_id,
            cause: reading.event_id,
            author: reading.author,
        };
        let request = request(item, reading, format!("follow:{}", reading.event_id));
        let executor = &self.context.executor;
        executor
            .execute(&request, &follow)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    }

    /// Removes all tasks of a purged note, also those without a line. No task can be created for a purged note, so the read
    /// model has all of them.
    async fn remove_all(&self, item: &Job, reading: &Reading) -> Result<(), String> {
        self.readers
            .wait(Task::CATEGORY, reading.position)
            .await
            .map_err(|error| error.to_string())?;
        let tasks = task::of_note(&self.context.database, reading.note_id)
            .await
            .map_err(|error| error.to_string())?;
        for id in tasks {
            let request = request(item, reading, format!("purge:{}:{id}", reading.event_id));
            let delete = On::<Task> {
                id,
                command: TaskCommand::Delete,
            };
            match self.context.executor.execute(&request, &delete).await {
                // Another actor has removed the task meanwhile.
                Err(error) if error.is_refusal(&TaskRefusal::NotFound) => {}
                Err(error) => return Err(error.to_string()),
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

fn request(item: &Job, reading: &Reading, key: String) -> Request {
    Request::reaction(
        item.product_id,
        reading.correlation_id,
        reading.event_id,
        key,
    )
}

#[async_trait]
impl JobHandler for FollowLines {
    const KIND: &'static str = "note.follow_lines";
    type Payload = Reading;

    async fn run(&self, job: &Job, reading: Reading) -> Result<Outcome, String> {
        self.follow(job, &reading).await?;
        if reading.purged {
            self.remove_all(job, &reading).await?;
        }
        Ok(Outcome::Done)
    }
}
