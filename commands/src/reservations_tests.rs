//! Unique values on a log in memory: reserved, changed and freed with their resource.

use domain::reservation::Reservation;
use domain::{Aggregate, Audience, DecisionContext, NoRule, Rejection, StreamId, Unique, events};
use futures::future::join_all;
use uuid::Uuid;

use crate::On;
use crate::testing::{Node, code, dry_run};

events! {
    /// Events of a shelf.
    pub enum ShelfEvent {
        /// The shelf got a name.
        Named("shelf.named", 1) { name: String },
        /// The shelf was removed.
        Removed("shelf.removed", 1) {},
    }
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "shelf.", serialize_all = "snake_case")]
enum ShelfCommand {
    Name(String),
    Remove,
}

/// A resource whose name is unique.
#[derive(Debug, Clone, Default, PartialEq)]
struct Shelf(Option<String>);

impl Aggregate for Shelf {
    const CATEGORY: &'static str = "shelf";
    const SCOPE: &'static str = "shelves";
    const AUDIENCE: Audience = Audience::Product;
    type Command = ShelfCommand;
    type Event = ShelfEvent;
    type Rule = NoRule<Self>;

    fn evolve(self, event: &ShelfEvent) -> Self {
        match event {
            ShelfEvent::Named { name } => Self(Some(name.clone())),
            ShelfEvent::Removed {} => Self(None),
        }
    }

    fn decide(
        &self,
        command: ShelfCommand,
        _: &DecisionContext,
    ) -> Result<Vec<ShelfEvent>, Rejection<NoRule<Self>>> {
        Ok(vec![match command {
            ShelfCommand::Name(name) => ShelfEvent::Named { name },
            ShelfCommand::Remove => ShelfEvent::Removed {},
        }])
    }

    fn unique(&self) -> Vec<Unique> {
        self.0
            .iter()
            .map(|name| Unique::text("name", name))
            .collect()
    }
}

fn named(id: u128, name: &str) -> On<Shelf> {
    On {
        id: Uuid::from_u128(id),
        command: ShelfCommand::Name(name.to_owned()),
    }
}

fn removed(id: u128) -> On<Shelf> {
    On {
        id: Uuid::from_u128(id),
        command: ShelfCommand::Remove,
    }
}

/// Returns the code of the refusal.
async fn refusal(node: &Node, command: &On<Shelf>) -> String {
    code(&node.run(command).await.unwrap_err())
}

#[tokio::test]
async fn a_name_belongs_to_one_resource_until_it_is_changed_or_freed() {
    let node = Node::start();
    node.run(&named(1, "To do")).await.unwrap();
    assert_eq!(
        refusal(&node, &named(2, "TO  DO")).await,
        "shelf_name_taken"
    );
    node.run(&named(1, "to do")).await.unwrap();
    node.run(&named(1, "Done")).await.unwrap();
    node.run(&named(2, "To do")).await.unwrap();
    assert_eq!(refusal(&node, &named(1, "To do")).await, "shelf_name_taken");
    node.run(&removed(2)).await.unwrap();
    node.run(&named(1, "To do")).await.unwrap();
}

#[tokio::test]
async fn a_reservation_is_appended_with_the_change_or_not_at_all() {
    let node = Node::start();
    let planned = node.run_as(&dry_run(), &named(1, "To do")).await.unwrap();
    assert_eq!(planned.planned.unwrap().len(), 2);
    assert!(node.log().await.is_empty());
    node.run(&named(1, "To do")).await.unwrap();
    let types: Vec<String> = node.log().await.into_iter().map(|e| e.event_type).collect();
    assert_eq!(types, ["shelf.named", "reservation.taken"]);
    refusal(&node, &named(2, "To do")).await;
    assert_eq!(node.log().await.len(), 2);
}

#[tokio::test]
async fn of_commands_that_race_for_a_name_on_two_nodes_one_wins() {
    let node = Node::start();
    let nodes = [&node, &node.another()];
    let shelves: Vec<_> = (1..=20).map(|id| named(id, "To do")).collect();
    let commands = shelves.iter().zip(nodes.into_iter().cycle());
    let results = join_all(commands.map(|(shelf, node)| node.run(shelf))).await;
    let lost = results.iter().filter_map(|result| result.as_ref().err());
    let codes: Vec<String> = lost.map(code).collect();
    assert_eq!(codes, vec!["shelf_name_taken"; 19]);
}

#[tokio::test]
async fn another_node_frees_a_name() {
    let node = Node::start();
    node.run(&named(1, "To do")).await.unwrap();
    node.another().run(&removed(1)).await.unwrap();
    node.run(&named(2, "To do")).await.unwrap();
    let reservation = Unique::text("name", "to do");
    let id = reservation.stream_id(crate::testing::PRODUCT, "shelf");
    let stream = StreamId::of::<Reservation>(id);
    let kept = node.log().await.into_iter();
    assert_eq!(kept.filter(|event| event.stream == stream).count(), 3);
}
