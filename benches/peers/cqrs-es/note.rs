//! The smallest aggregate: its only command always produces its only event.

use std::convert::Infallible;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
pub struct Note;

pub struct Create;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Created {
    text: String,
}

impl DomainEvent for Created {
    fn event_type(&self) -> String {
        "note.created".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for Note {
    const TYPE: &'static str = "note";
    type Command = Create;
    type Event = Created;
    type Error = Infallible;
    type Services = ();

    async fn handle(
        &mut self,
        Create: Create,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Infallible> {
        let text = "x".repeat(289);
        sink.write(Created { text }, self).await;
        Ok(())
    }

    fn apply(&mut self, _: Created) {}
}
