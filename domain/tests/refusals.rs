//! A test produces every refusal: by name in a test of the domain, or by code in one that goes through HTTP; and
//! `docs/errors.md` describes it.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::Path;

use domain::agents::agent::AgentRefusal;
use domain::agents::policy::PolicyRefusal;
use domain::agents::proposal::ProposalRefusal;
use domain::agents::tool_call::ToolCallRefusal;
use domain::delivery::webhook::WebhookRefusal;
use domain::delivery::webhook_delivery::DeliveryRefusal;
use domain::identity::actor::ActorRefusal;
use domain::identity::api_key::ApiKeyRefusal;
use domain::identity::avatar::AvatarRefusal;
use domain::identity::product::ProductRefusal;
use domain::knowledge::artifact::ArtifactRefusal;
use domain::knowledge::calendar_feed::CalendarFeedRefusal;
use domain::knowledge::note::NoteRefusal;
use domain::knowledge::task::TaskRefusal;
use domain::knowledge::workspace::WorkspaceRefusal;
use domain::operations::blob::BlobRefusal;
use domain::operations::file::FileRefusal;
use domain::operations::storage::StorageRefusal;
use strum::VariantNames;

/// Returns the text of all tests.
fn tests() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    for directory in [
        "src/agents",
        "src/delivery",
        "src/identity",
        "src/knowledge",
        "src/operations",
        "src/knowledge/note",
        "../tests/it",
    ] {
        for entry in fs::read_dir(root.join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let file = fs::read_to_string(&path).unwrap();
                // In a file with decisions, the tests come last.
                let from = match path.to_str().unwrap() {
                    name if name.contains("_tests") || name.contains("/it/") => 0,
                    _ => file.find("mod tests {").unwrap_or(file.len()),
                };
                text.push_str(&file[from..]);
            }
        }
    }
    text
}

#[test]
fn every_refusal_is_produced_by_a_test_and_described() {
    let tests = tests();
    let codes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
    let codes = fs::read_to_string(codes).unwrap();
    for (refusal, prefix, names) in [
        ("AgentRefusal", "agent_", AgentRefusal::VARIANTS),
        ("PolicyRefusal", "policy_", PolicyRefusal::VARIANTS),
        ("ProposalRefusal", "proposal_", ProposalRefusal::VARIANTS),
        ("ToolCallRefusal", "tool_call_", ToolCallRefusal::VARIANTS),
        ("WebhookRefusal", "webhook_", WebhookRefusal::VARIANTS),
        ("DeliveryRefusal", "delivery_", DeliveryRefusal::VARIANTS),
        ("ActorRefusal", "actor_", ActorRefusal::VARIANTS),
        ("ApiKeyRefusal", "api_key_", ApiKeyRefusal::VARIANTS),
        ("AvatarRefusal", "avatar_", AvatarRefusal::VARIANTS),
        ("ProductRefusal", "product_", ProductRefusal::VARIANTS),
        ("ArtifactRefusal", "artifact_", ArtifactRefusal::VARIANTS),
        (
            "CalendarFeedRefusal",
            "calendar_feed_",
            CalendarFeedRefusal::VARIANTS,
        ),
        ("NoteRefusal", "note_", NoteRefusal::VARIANTS),
        ("TaskRefusal", "task_", TaskRefusal::VARIANTS),
        ("WorkspaceRefusal", "workspace_", WorkspaceRefusal::VARIANTS),
        ("BlobRefusal", "blob_", BlobRefusal::VARIANTS),
        ("FileRefusal", "file_", FileRefusal::VARIANTS),
        ("StorageRefusal", "storage_", StorageRefusal::VARIANTS),
    ] {
        assert!(!names.is_empty(), "{refusal}");
        for name in names {
            let name = name.trim_start_matches(prefix);
            // For malformed commands, tests assert the named fields.
            let variant: String = name.split('_').map(capitalised).collect();
            let is_produced = variant == "Invalid"
                || tests.contains(&format!("{refusal}::{variant}"))
                || tests.contains(&format!("\"{prefix}{name}\""));
            assert!(is_produced, "no test produces {refusal}::{variant}");
            let is_described =
                variant == "Invalid" || codes.contains(&format!("| `{prefix}{name}` |"));
            assert!(is_described, "docs/errors.md does not have {prefix}{name}");
        }
    }
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}
