//! The titles and links that a batch of events can touch, in memory, and the changes to them.

use std::collections::{BTreeSet, HashMap, HashSet};

use domain::knowledge::note::TypedLink;
use domain::knowledge::wiki::Reference;
use store::{Position, Recorded};
use uuid::{Builder, Uuid};

use super::link_change::{LinkChange, What};
use super::{Kind, LinkRow, NoteTitle};
use crate::table::Changes;

/// The known notes and links of some workspaces.
///
/// Invariant: no wiki link dangles or leads by a later name while a note has an earlier name. Every method that names a note or
/// removes a link's target keeps it.
#[derive(Default)]
pub struct LinkGraph {
    pub titles: Rows<NoteTitle>,
    pub links: Rows<LinkRow>,
    /// Notes by name, the oldest first.
    named: Index<(Position, Uuid)>,
    /// Links by source.
    leaving: Index<Uuid>,
    /// Links by target.
    arriving: Index<Uuid>,
    /// Links by the names that they await.
    waiting: Index<Uuid>,
}

/// Rows by id, and the ids of those that differ from the table.
pub struct Rows<T> {
    known: HashMap<Uuid, T>,
    /// Ids of rows that the table has, perhaps outdated.
    stored: HashSet<Uuid>,
    changed: HashSet<Uuid>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            stored: HashSet::new(),
            changed: HashSet::new(),
        }
    }
}

impl<T> Rows<T> {
    pub fn get(&self, id: Uuid) -> Option<&T> {
        self.known.get(&id)
    }

    /// Returns the rows to write.
    pub fn changes(&self) -> Changes<'_, T> {
        let mut changes = Changes::default();
        for id in &self.changed {
            changes.add(*id, self.known.get(id), self.stored.contains(id));
        }
        changes
    }
}

struct Index<T>(HashMap<Uuid, BTreeSet<T>>);

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Ord + Copy> Index<T> {
    fn add(&mut self, key: Uuid, value: T) {
        self.0.entry(key).or_default().insert(value);
    }

    fn remove(&mut self, key: Uuid, value: T) {
        if let Some(values) = self.0.get_mut(&key) {
            values.remove(&value);
        }
    }

    fn first(&self, key: Uuid) -> Option<T> {
        self.0.get(&key)?.first().copied()
    }

    fn all(&self, key: Uuid) -> Vec<T> {
        self.0.get(&key).into_iter().flatten().copied().collect()
    }
}

impl LinkGraph {
    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.titles.known.len() + self.links.known.len()
    }

    /// Adds a note that the table has.
    pub fn read_title(&mut self, note: NoteTitle) {
        self.titles.stored.insert(note.id);
        self.know_title(note);
    }

    fn know_title(&mut self, note: NoteTitle) {
        for name in &note.name_ids {
            self.named.add(*name, (note.position, note.id));
        }
        self.titles.known.insert(note.id, note);
    }

    /// Adds a link that the table has.
    pub fn read_link(&mut self, link: LinkRow) {
        self.links.stored.insert(link.id);
        self.know_link(link);
    }

    fn know_link(&mut self, link: LinkRow) {
        self.leaving.add(link.source_id, link.id);
        if let Some(target_id) = link.target_id {
            self.arriving.add(target_id, link.id);
        }
        for name in &link.awaits {
            self.waiting.add(*name, link.id);
        }
        self.links.known.insert(link.id, link);
    }

    /// Returns the names that links to a note may match.
    pub fn names_of_links_to(&self, note_id: Uuid) -> impl Iterator<Item = Uuid> {
        let links = self.arriving.all(note_id).into_iter();
        let links = links.filter_map(|id| self.links.get(id));
        links.flat_map(LinkRow::name_ids).copied()
    }

    pub fn apply_batch(&mut self, change: LinkChange<'_>) {
        let (event, id) = (change.event, change.note_id());
        if let What::Created {
            workspace_id,
            title,
            aliases,
            path,
            named,
        } = change.what
        {
            let mut note = NoteTitle {
                id,
                product_id: event.product_id,
                workspace_id,
                position: event.position,
                ..NoteTitle::default()
            };
            note.rename(Some(title), Some(aliases), path);
            self.call(note.clone());
            return self.name(&note, named, event);
        }
        let Some(mut note) = self.titles.get(id).cloned() else {
            return;
        };
        match change.what {
            What::Created { .. } => {}
            What::Revised {
                title,
                aliases,
                path,
                named,
            } => {
                if title.is_some() || aliases.is_some() || path.is_some() {
                    note.rename(title, aliases, path);
                    self.call(note.clone());
                }
                if let Some(named) = named {
                    self.name(&note, named, event);
                }
            }
            What::Linked(link) => self.link(&note, link, event),
            What::Unlinked(link) => self.unlink(id, &link),
            What::Purged => self.purge(id),
        }
    }

    /// Gives a note its names, and retargets the links that await one of them.
    fn call(&mut self, note: NoteTitle) {
        let names = note.name_ids.clone();
        self.forget_title(note.id);
        self.titles.changed.insert(note.id);
        self.know_title(note);
        for name in names {
            for id in self.waiting.all(name) {
                self.settle(id);
            }
        }
    }

    /// Replaces the wiki links of a note by those that its body names; links to the same title stay.
    fn name(&mut self, note: &NoteTitle, named: Vec<Reference>, event: &Recorded) {
        let mut before: HashMap<Uuid, LinkRow> = HashMap::new();
        for link in self.links_of(note.id) {
            if let Kind::Wiki { title_id, .. } = link.kind {
                before.insert(title_id, link);
            }
        }
        for (reference, names) in note.candidates(named) {
            let title_id = reference.id(note.workspace_id);
            let text = reference.text().to_owned();
            let (name_ids, anchors) = names.into_iter().map(|name| (name.id, name.anchor)).unzip();
            let kind = Kind::Wiki {
                title_id,
                anchors: text.contains('#').then_some(anchors),
                text,
                name_ids,
            };
            match before.remove(&title_id) {
                Some(link) if link.kind == kind => {}
                Some(link) if link.name_ids() == kind.name_ids() => {
                    self.put(LinkRow { kind, ..link });
                }
                // The names of a link change if its note was moved to another folder.
                Some(link) => {
                    let id = link.id;
                    self.put(LinkRow { kind, ..link });
                    self.settle(id);
                }
                None => {
                    let id = link_id(event, title_id);
                    self.put(LinkRow::new(id, note, kind, event));
                    self.settle(id);
                }
            }
        }
        for id in before.into_values().map(|link| link.id) {
            self.remove(id);
        }
    }

    fn link(&mut self, note: &NoteTitle, link: TypedLink, event: &Recorded) {
        if self.typed(note.id, &link).is_some() {
            return;
        }
        let TypedLink {
            target_id,
            relation,
        } = link;
        let id = link_id(event, target_id);
        self.put(LinkRow {
            target_id: Some(target_id),
            dangling: self.titles.get(target_id).is_none(),
            ..LinkRow::new(id, note, Kind::Typed { relation }, event)
        });
    }

    fn unlink(&mut self, note_id: Uuid, link: &TypedLink) {
        if let Some(id) = self.typed(note_id, link) {
            self.remove(id);
        }
    }

    fn purge(&mut self, note_id: Uuid) {
        self.forget_title(note_id);
        self.titles.changed.insert(note_id);
        for id in self.leaving.all(note_id) {
            self.remove(id);
        }
        for id in self.arriving.all(note_id) {
            self.settle(id);
        }
    }

    /// Finds the target of a link again.
    fn settle(&mut self, id: Uuid) {
        let Some(link) = self.links.get(id).cloned() else {
            return;
        };
        let (target_id, awaits) = match &link.kind {
            Kind::Typed { .. } => (link.target_id, vec![]),
            Kind::Wiki { name_ids, .. } => self.find(name_ids),
        };
        let dangling = target_id.is_none_or(|id| self.titles.get(id).is_none());
        self.put(LinkRow {
            target_id,
            dangling,
            awaits,
            ..link
        });
    }

    /// Returns the oldest note of the first name that any note has, and the names before it.
    fn find(&self, name_ids: &[Uuid]) -> (Option<Uuid>, Vec<Uuid>) {
        let mut found = name_ids
            .iter()
            .enumerate()
            .filter_map(|(place, name)| Some((place, self.named.first(*name)?.1)));
        match found.next() {
            Some((place, id)) => (Some(id), name_ids[..place].to_vec()),
            None => (None, name_ids.to_vec()),
        }
    }

    fn links_of(&self, note_id: Uuid) -> Vec<LinkRow> {
        let links = self.leaving.all(note_id).into_iter();
        links.filter_map(|id| self.links.get(id).cloned()).collect()
    }

    /// Returns the id of a typed link.
    fn typed(&self, note_id: Uuid, wanted: &TypedLink) -> Option<Uuid> {
        let links = self.links_of(note_id);
        let is_wanted = |link: &&LinkRow| {
            link.target_id == Some(wanted.target_id)
                && matches!(&link.kind, Kind::Typed { relation } if *relation == wanted.relation)
        };
        links.iter().find(is_wanted).map(|link| link.id)
    }

    fn put(&mut self, link: LinkRow) {
        self.remove(link.id);
        self.know_link(link);
    }

    fn remove(&mut self, id: Uuid) {
        self.links.changed.insert(id);
        if let Some(link) = self.links.known.remove(&id) {
            self.leaving.remove(link.source_id, id);
            if let Some(target_id) = link.target_id {
                self.arriving.remove(target_id, id);
            }
            for name in &link.awaits {
                self.waiting.remove(*name, id);
            }
        }
    }

    fn forget_title(&mut self, note_id: Uuid) {
        if let Some(note) = self.titles.known.remove(&note_id) {
            for name in &note.name_ids {
                self.named.remove(*name, (note.position, note_id));
            }
        }
    }
}

impl LinkRow {
    /// Creates a link without a target.
    fn new(id: Uuid, source: &NoteTitle, kind: Kind, event: &Recorded) -> Self {
        Self {
            id,
            product_id: source.product_id,
            workspace_id: source.workspace_id,
            source_id: source.id,
            kind,
            target_id: None,
            dangling: true,
            awaits: vec![],
            created_at: event.recorded_at,
        }
    }

    pub fn name_ids(&self) -> &[Uuid] {
        self.kind.name_ids()
    }
}

impl Kind {
    /// Returns the names that the link may match; none for a typed link.
    fn name_ids(&self) -> &[Uuid] {
        match self {
            Self::Wiki { name_ids, .. } => name_ids,
            Self::Typed { .. } => &[],
        }
    }
}

/// Returns a new id for a link. Like other ids it grows with time; it is the same whenever the log is read.
fn link_id(event: &Recorded, to: Uuid) -> Uuid {
    let millis = u64::try_from(event.recorded_at.timestamp_millis()).unwrap_or_default();
    let digest = Uuid::new_v5(&event.event_id, to.as_bytes());
    let digest = digest.as_bytes().first_chunk().copied().unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &digest).into_uuid()
}
