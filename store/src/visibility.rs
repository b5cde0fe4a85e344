//! The visibility of events: readers of its resource and auditors may see an event.
//!
//! This one rule holds for pages, streams, causes and deliveries. [`Filter`] carries it into the database.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use domain::identity::product::OPERATOR;
use domain::identity::scope;
use domain::{Audience, contracts};
use uuid::Uuid;

use crate::{Filter, Recorded};

/// A reader of the log: an actor with the scopes of their key.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    pub actor_id: Uuid,
    /// The product of the actor's key.
    pub product_id: Uuid,
    pub scopes: &'a BTreeSet<String>,
}

impl Reader<'_> {
    /// Returns true if the reader sees every event of their product; for the operator's product, of all products.
    #[must_use]
    pub fn is_auditor(&self) -> bool {
        scope::audits(self.scopes)
    }

    /// Restricts a filter to events that the reader may see as a member of these workspaces.
    #[must_use]
    pub fn narrow(&self, filter: Filter, workspaces: Arc<HashSet<Uuid>>) -> Filter {
        let products = match (self.is_auditor(), self.product_id) {
            (true, OPERATOR) => filter.products,
            _ => vec![self.product_id],
        };
        Filter {
            products,
            visibility: self.visibility(workspaces),
            ..filter
        }
    }

    /// Returns true if the reader may see an event, given that they are a member of these workspaces.
    #[must_use]
    pub fn sees(&self, event: &Recorded, workspaces: Arc<HashSet<Uuid>>) -> bool {
        self.narrow(Filter::default(), workspaces).matches(event)
    }

    fn visibility(&self, workspaces: Arc<HashSet<Uuid>>) -> Option<Arc<Visibility>> {
        let all = self.is_auditor();
        (!all).then(|| Arc::new(Visibility::new(self, workspaces)))
    }
}

/// The events that a reader who is no auditor may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visibility {
    /// Categories whose events are visible if they are in no workspace.
    pub(crate) product_wide: Vec<&'static str>,
    /// Categories whose events are visible if they are in one of `workspaces`.
    pub(crate) in_workspaces: Vec<&'static str>,
    /// Categories whose events are visible to the actor who caused them.
    pub(crate) own: Vec<&'static str>,
    /// The workspaces of which the reader is a member.
    pub(crate) workspaces: Arc<HashSet<Uuid>>,
    pub(crate) actor_id: Uuid,
}

impl Visibility {
    fn new(reader: &Reader<'_>, workspaces: Arc<HashSet<Uuid>>) -> Self {
        let mut visibility = Self {
            product_wide: vec![],
            in_workspaces: vec![],
            own: vec![],
            workspaces,
            actor_id: reader.actor_id,
        };
        for contract in contracts() {
            let scope = format!("{}:read", contract.scope);
            if !scope::grants(reader.scopes, &scope) {
                continue;
            }
            let category = contract.category;
            match contract.audience {
                Audience::Product => visibility.product_wide.push(category),
                Audience::Members => visibility.in_workspaces.push(category),
                Audience::MembersOrProduct => {
                    visibility.product_wide.push(category);
                    visibility.in_workspaces.push(category);
                }
                Audience::Actor => visibility.own.push(category),
                Audience::Auditors => {}
            }
        }
        visibility
    }

    /// Returns true if the reader may see an event of their product.
    #[must_use]
    pub fn shows(&self, event: &Recorded) -> bool {
        let category = event.stream.category.as_str();
        let by_place = match event.workspace_id {
            None => self.product_wide.contains(&category),
            Some(id) => self.in_workspaces.contains(&category) && self.workspaces.contains(&id),
        };
        let is_own = event.metadata.actor.id == self.actor_id;
        by_place || is_own && self.own.contains(&category)
    }
}
