//! What happened, in numbers, and where to look further.

use std::time::Duration;

use indicatif::HumanCount;

use super::cast::Cast;
use super::import::Imported;
use super::log::Log;
use super::progress::count;
use super::reviewer::Decisions;
use super::webhook::Endpoint;

/// Everything that the report tells of.
pub struct Report<'a> {
    pub cast: &'a Cast,
    pub imported: Imported,
    pub proposals: usize,
    pub decisions: Decisions,
    pub endpoint: &'a Endpoint,
    pub log: &'a Log,
    pub elapsed: Duration,
}

impl Report<'_> {
    pub fn print(&self) {
        println!("\nIn numbers:\n");
        for (name, number, remark) in self.rows() {
            let number = HumanCount(number as u64).to_string();
            println!(
                "  {}",
                format!("{name:<26} {number:>9}  {remark}").trim_end()
            );
        }
        self.print_where_to_look();
    }

    fn rows(&self) -> Vec<(&'static str, usize, String)> {
        let (imported, decisions) = (&self.imported, &self.decisions);
        let tally = self.endpoint.receiver.tally();
        let seconds = self.elapsed.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate, rounded anyway")]
        let rate = self.log.events as f64 / seconds;
        let left_out = match imported.left_out {
            0 => String::new(),
            some => format!("{some} left out; the warnings say why"),
        };
        let webhooks = if self.endpoint.works {
            format!(
                "for {} and {}",
                count(self.log.to_deliver.len(), "event"),
                count(tally.examples, "example")
            )
        } else {
            "the server cannot reach this machine; see the warning".into()
        };
        let types = self.log.by_type.len();
        vec![
            ("files", imported.files, left_out),
            ("notes", imported.notes, String::new()),
            ("proposals made", self.proposals, String::new()),
            ("  approved", decisions.approved, String::new()),
            ("  edited, then approved", decisions.edited, String::new()),
            ("  rejected", decisions.rejected, String::new()),
            ("  failed", decisions.failed, String::new()),
            ("approvals refused", decisions.refused, String::new()),
            ("webhooks received", tally.received, webhooks),
            ("  signatures verified", tally.verified, String::new()),
            (
                "events in the log",
                self.log.events,
                format!("of {types} types, in {seconds:.1} s: {rate:.0} events/s"),
            ),
        ]
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
        println!("\nTo see more, with the operator's key in DAYBOOK_KEY:\n");
        for (path, more) in [
            (format!("/v1/notes?workspace_id={workspace_id}&limit=3"), ""),
            (
                format!("/v1/proposals?workspace_id={workspace_id}&status=rejected"),
                "",
            ),
            (format!("/v1/webhooks/{webhook}/deliveries?limit=3"), ""),
            (
                format!("/v1/events?product={product_id}&type=proposal.*&follow=true"),
                " -N -H 'Accept: application/x-ndjson'",
            ),
        ] {
            println!("  curl -s -H \"Authorization: Bearer $DAYBOOK_KEY\"{more} '{server}{path}'");
        }
    }
}
