//! The report: results in numbers, and pointers to more.

use std::time::Duration;

use indicatif::HumanCount;

use super::cast::Cast;
use super::log::Log;
use super::reviewer::Decisions;
use super::webhook::Endpoint;
use crate::folder::Imported;
use crate::progress::{count, print};

/// The contents of the report.
pub struct Report<'a> {
    pub cast: &'a Cast,
    pub imported: Imported,
    pub tasks: usize,
    pub proposals: usize,
    pub decisions: Decisions,
    pub endpoint: &'a Endpoint,
    pub log: &'a Log,
    pub elapsed: Duration,
}

impl Report<'_> {
    pub fn print(&self) {
        let (imported, decisions, log) = (&self.imported, &self.decisions, self.log);
        let tally = self.endpoint.receiver.tally();
        let seconds = self.elapsed.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate, rounded anyway")]
        let rate = log.events as f64 / seconds;
        let left_out = |number| match number {
            0 => String::new(),
            some => format!("{some} left out; the warnings say why"),
        };
        let webhooks = if self.endpoint.works {
            let events = count(log.to_deliver.len(), "event");
            format!("for {events} and {}", count(tally.examples, "example"))
        } else {
            "the server cannot reach this machine; see the warning".into()
        };
        let types = log.by_type.len();
        let events = format!("of {types} types, in {seconds:.1} s: {rate:.0} events/s");

        print("\nIn numbers:\n");
        row("files", imported.files, &left_out(imported.left_out));
        row("notes", imported.notes.len(), "");
        row("artifacts", imported.artifacts(), "");
        row("tasks", self.tasks, "");
        row("proposals made", self.proposals, "");
        row("  approved", decisions.approved, "");
        row("  edited, then approved", decisions.edited, "");
        row("  rejected", decisions.rejected, "");
        row("  failed", decisions.failed, "");
        row("approvals refused", decisions.refused, "");
        row("webhooks received", tally.received, &webhooks);
        row("  signatures verified", tally.verified, "");
        row("events in the log", log.events, &events);
        self.print_where_to_look();
    }

    fn print_where_to_look(&self) {
        let Cast {
            product_id,
            workspace_id,
            author,
            ..
        } = self.cast;
        let server = author.server();
        let webhook = self.endpoint.id;
        print("\nTo see more, with the operator's key in DAYBOOK_KEY:\n");
        for (path, more) in [
            (format!("/v1/notes?workspace_id={workspace_id}&limit=3"), ""),
            (
                format!("/v1/proposals?workspace_id={workspace_id}&status=rejected"),
                "",
            ),
            (format!("/v1/webhooks/{webhook}/deliveries?limit=3"), ""),
            (
                format!("/v1/events?product={product_id}&type=proposal.*"),
                " -N -H 'Accept: application/x-ndjson'",
            ),
        ] {
            print(&format!(
                "  curl -s -H \"Authorization: Bearer $DAYBOOK_KEY\"{more} '{server}{path}'"
            ));
        }
    }
}

fn row(name: &str, number: usize, remark: &str) {
    let number = HumanCount(number as u64).to_string();
    let line = format!("  {name:<26} {number:>9}  {remark}");
    print(line.trim_end());
}
