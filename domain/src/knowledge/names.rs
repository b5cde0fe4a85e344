//! Names by which links find a note: its title, its aliases, and the path of its source file.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::place;
use super::wiki::{Reference, readings, title_id};

/// The maximum number of names at the end of a path that together identify the file.
const MAX_TAIL: usize = 16;

/// Returns the id of a path within a workspace's folder.
fn place_id(workspace_id: Uuid, stem: &str) -> Uuid {
    // No title has a line feed: see `title_id`.
    Uuid::new_v5(&title_id(workspace_id, stem), b"\nplace")
}

fn alias_id(workspace_id: Uuid, alias: &str) -> Uuid {
    Uuid::new_v5(&title_id(workspace_id, alias), b"\nalias")
}

/// Returns the ids of all names of a note. The end of its file's path is a name as well: `Garden/Tea` and `Tea` for
/// `Home/Garden/Tea.md`.
#[must_use]
pub fn name_ids(
    workspace_id: Uuid,
    title: &str,
    aliases: &BTreeSet<String>,
    path: Option<&str>,
) -> Vec<Uuid> {
    let mut ids = BTreeSet::from([title_id(workspace_id, title)]);
    ids.extend(aliases.iter().map(|alias| alias_id(workspace_id, alias)));
    if let Some(stem) = path.map(place::stem) {
        ids.insert(place_id(workspace_id, stem));
        ids.insert(title_id(workspace_id, stem));
        let tails = stem.rmatch_indices('/').take(MAX_TAIL);
        ids.extend(tails.map(|(slash, _)| title_id(workspace_id, &stem[slash + 1..])));
    }
    ids.into_iter().collect()
}

/// A name that a reference may refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub id: Uuid,
    /// Heading or block within the note.
    pub anchor: Option<String>,
}

/// Returns the names that a reference may refer to; the first that a note has wins. The order is: a file in the same
/// folder, the file at the path from the root, a title or the end of a path, an alias. Names that include the number
/// sign come before names without a heading.
#[must_use]
pub fn candidates(workspace_id: Uuid, reference: &Reference, path: Option<&str>) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = Vec::new();
    let readings = match reference {
        Reference::Title(text) => readings(text),
        Reference::File(path) => vec![(path.as_str(), None)],
    };
    for (text, anchor) in readings {
        for id in name_ids_of(workspace_id, text, path) {
            if candidates.iter().all(|known| known.id != id) {
                let anchor = anchor.map(str::to_owned);
                candidates.push(Candidate { id, anchor });
            }
        }
    }
    candidates
}

fn name_ids_of(workspace_id: Uuid, text: &str, path: Option<&str>) -> Vec<Uuid> {
    let stem = place::stem(text);
    let folders = path.into_iter().flat_map(|path| [place::folder(path), ""]);
    let places = folders.filter_map(|folder| place::resolve(folder, stem));
    let mut ids: Vec<Uuid> = places.map(|found| place_id(workspace_id, &found)).collect();
    if !text.starts_with("./") && !text.starts_with("../") {
        ids.push(title_id(workspace_id, text));
        ids.push(title_id(workspace_id, stem.trim_start_matches('/')));
        ids.push(alias_id(workspace_id, text));
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: Uuid = Uuid::from_u128(7);

    fn note(title: &str, aliases: &[&str], path: Option<&str>) -> Vec<Uuid> {
        let aliases = aliases.iter().map(ToString::to_string).collect();
        name_ids(HOME, title, &aliases, path)
    }

    /// Returns the index of the first candidate that a note has.
    fn found(reference: &Reference, from: Option<&str>, note: &[Uuid]) -> Option<usize> {
        let candidates = candidates(HOME, reference, from);
        candidates.iter().position(|name| note.contains(&name.id))
    }

    fn wiki(text: &str) -> Reference {
        Reference::Title(text.into())
    }

    #[test]
    fn a_note_is_found_by_title_alias_file_name_and_path() {
        let shed = note("The shed", &["Hut"], Some("House/Garden/Tool shed.md"));
        for text in [
            "the SHED",
            "hut",
            "Tool shed",
            "tool shed.md",
            "Garden/Tool shed",
            "House/Garden/Tool shed.md",
            "/House/Garden/Tool shed",
        ] {
            for from in [None, Some("Home.md"), Some("House/Kitchen/Sink.md")] {
                assert!(
                    found(&wiki(text), from, &shed).is_some(),
                    "{text} from {from:?}"
                );
            }
        }
        for text in ["shed", "Tool", "House", "Kitchen/Tool shed", "./Tool shed"] {
            assert_eq!(found(&wiki(text), Some("Home.md"), &shed), None, "{text}");
        }
    }

    #[test]
    fn a_link_means_the_file_beside_it_before_others_of_the_same_name() {
        let beside = note("Index", &[], Some("Garden/Index.md"));
        let outermost = note("Index", &[], Some("Index.md"));
        let elsewhere = note("Index", &[], Some("Kitchen/Index.md"));
        let alias = note("List", &["Index"], None);
        let places = [beside, outermost, elsewhere, alias]
            .map(|note| found(&wiki("Index"), Some("Garden/Tea.md"), &note).unwrap());
        assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
    }

    #[test]
    fn a_markdown_link_means_the_file_at_its_path() {
        let shed = note("The shed", &[], Some("Garden/Tool shed.md"));
        for (target, from, expected) in [
            ("Garden/Tool shed.md", "Home.md", true),
            ("Tool shed.md", "Garden/Tea.md", true),
            ("../Garden/Tool shed.md", "Daily/1.md", true),
            ("../Tool shed.md", "Garden/Tea.md", false),
            ("./Tool shed.md", "Home.md", false),
        ] {
            let reference = Reference::File(target.into());
            assert_eq!(
                found(&reference, Some(from), &shed).is_some(),
                expected,
                "{target}"
            );
        }
    }

    #[test]
    fn a_number_sign_is_part_of_a_name_before_it_begins_a_heading() {
        let found = candidates(HOME, &wiki("C# notes#Use"), None);
        let places = ["C# notes#Use", "C# notes", "C"].map(|title| {
            let place = found
                .iter()
                .position(|name| name.id == title_id(HOME, title));
            (
                place,
                place.and_then(|place| found[place].anchor.as_deref()),
            )
        });
        assert!(places.is_sorted_by(|a, b| a.0 < b.0), "{places:?}");
        assert_eq!(
            places.map(|(_, anchor)| anchor),
            [None, Some("Use"), Some("notes#Use")]
        );
        let shed = note("The shed", &["Hut"], Some("House/Garden/Tool shed.md"));
        for text in ["Garden/Tool shed#Rakes", "hut#^b1", "Tool shed.md#a#b"] {
            assert!(
                super::tests::found(&wiki(text), None, &shed).is_some(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_note_without_a_file_means_titles_before_aliases() {
        assert_eq!(candidates(HOME, &wiki("Tea"), None).len(), 2);
        assert_eq!(found(&wiki("tea"), None, &note("Tea", &[], None)), Some(0));
        assert_eq!(
            found(&wiki("tea"), None, &note("Green", &["TEA"], None)),
            Some(1)
        );
    }
}
