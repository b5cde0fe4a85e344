//! Blobs: bytes that a product stores once per container, however many files share them.
//!
//! The stream of a blob is named after the hash of its bytes. Once no file uses the bytes, they are dropped: the object
//! that holds them is deleted, and its name is never used again. If the same bytes come back, they are the next
//! generation, under another name. So no deletion can hit an object that was just stored.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::container::Container;
use super::file::File;
use crate::{Aggregate, Audience, Class, DecisionContext, Rejection, Rule, events};

events! {
    /// Events of a blob.
    pub enum BlobEvent {
        /// A file started to use the bytes.
        Held("blob.held", 1) { container: Container, sha256: String, generation: u32 as Few, file_id: Uuid },
        /// A file stopped using the bytes.
        Released("blob.released", 1) { container: Container, sha256: String, generation: u32 as Few, file_id: Uuid },
        /// No file uses the bytes: the object of this generation will be deleted.
        Dropped("blob.dropped", 1) { container: Container, sha256: String, generation: u32 as Few },
    }
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "blob.", serialize_all = "snake_case")]
pub enum BlobCommand {
    Hold {
        key: BlobKey,
        file_id: Uuid,
    },
    Release {
        key: BlobKey,
        file_id: Uuid,
    },
    /// Drops the blob, unless a file uses it or its generation is another.
    Drop {
        key: BlobKey,
    },
}

/// Rules of blobs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum BlobRule {
    /// The object was deleted, or is about to be, after these bytes were written to it.
    #[error("these bytes were dropped meanwhile; upload them again")]
    Dropped,
}

impl Rule for BlobRule {
    type Of = Blob;

    fn class(&self) -> Class<'_> {
        match self {
            Self::Dropped => Class::Conflict,
        }
    }
}

/// Reasons to refuse a command.
pub type BlobRefusal = Rejection<BlobRule>;

/// The name of the object that holds the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BlobKey {
    pub product_id: Uuid,
    pub container: Container,
    /// SHA-256 in hex.
    pub sha256: String,
    pub generation: u32,
}

/// The text is not the name of a blob's object.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a blob is named product/container/sha256.generation")]
pub struct BlobKeyError;

impl BlobKey {
    /// Returns the id of the blob's stream: the same for every generation.
    #[must_use]
    pub fn id(&self) -> Uuid {
        let name = format!("{}/{}", self.container, self.sha256);
        Uuid::new_v5(&self.product_id, name.as_bytes())
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            product_id,
            container,
            sha256,
            generation,
        } = self;
        write!(f, "{product_id}/{container}/{sha256}.{generation}")
    }
}

impl FromStr for BlobKey {
    type Err = BlobKeyError;

    fn from_str(text: &str) -> Result<Self, BlobKeyError> {
        let parts: Vec<&str> = text.split('/').collect();
        let [product_id, container, name] = parts.as_slice() else {
            return Err(BlobKeyError);
        };
        let (sha256, generation) = name.split_once('.').ok_or(BlobKeyError)?;
        let key = Self {
            product_id: Uuid::try_parse(product_id).map_err(|_| BlobKeyError)?,
            container: container.parse().map_err(|_| BlobKeyError)?,
            sha256: sha256.to_owned(),
            generation: generation.parse().map_err(|_| BlobKeyError)?,
        };
        // Another spelling would name another object.
        if is_sha256(sha256) && key.to_string() == text {
            Ok(key)
        } else {
            Err(BlobKeyError)
        }
    }
}

/// Returns true for 64 hexadecimal digits in lower case.
#[must_use]
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Blob {
    /// Number of times that the bytes were dropped.
    pub generation: u32,
    /// Ids of the files that use the bytes.
    pub files: BTreeSet<Uuid>,
}

impl Aggregate for Blob {
    const CATEGORY: &'static str = "blob";
    const SCOPE: &'static str = File::SCOPE;
    const AUDIENCE: Audience = Audience::Auditors;
    type Command = BlobCommand;
    type Event = BlobEvent;
    type Rule = BlobRule;

    fn evolve(mut self, event: &BlobEvent) -> Self {
        match event {
            BlobEvent::Held { file_id, .. } => {
                self.files.insert(*file_id);
            }
            BlobEvent::Released { file_id, .. } => {
                self.files.remove(file_id);
            }
            BlobEvent::Dropped { generation, .. } => {
                self.generation = generation.saturating_add(1);
                self.files.clear();
            }
        }
        self
    }

    fn decide(
        &self,
        command: BlobCommand,
        _: &DecisionContext,
    ) -> Result<Vec<BlobEvent>, BlobRefusal> {
        match command {
            BlobCommand::Hold { key, .. } if key.generation != self.generation => {
                Err(BlobRule::Dropped.into())
            }
            BlobCommand::Hold { file_id, .. } if self.files.contains(&file_id) => Ok(vec![]),
            BlobCommand::Hold { key, file_id } => Ok(vec![BlobEvent::Held {
                container: key.container,
                sha256: key.sha256,
                generation: key.generation,
                file_id,
            }]),
            BlobCommand::Release { key, file_id } if self.files.contains(&file_id) => {
                Ok(vec![BlobEvent::Released {
                    container: key.container,
                    sha256: key.sha256,
                    generation: key.generation,
                    file_id,
                }])
            }
            BlobCommand::Drop { key }
                if key.generation == self.generation && self.files.is_empty() =>
            {
                Ok(vec![BlobEvent::Dropped {
                    container: key.container,
                    sha256: key.sha256,
                    generation: key.generation,
                }])
            }
            BlobCommand::Release { .. } | BlobCommand::Drop { .. } => Ok(vec![]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    const FILE: Uuid = Uuid::from_u128(7);
    const OTHER: Uuid = Uuid::from_u128(8);

    fn key(generation: u32) -> BlobKey {
        BlobKey {
            product_id: Uuid::from_u128(1),
            container: Container::Attachments,
            sha256: "5e".repeat(32),
            generation,
        }
    }

    fn hold(generation: u32, file_id: Uuid) -> BlobCommand {
        BlobCommand::Hold {
            key: key(generation),
            file_id,
        }
    }

    fn drop(generation: u32) -> BlobCommand {
        BlobCommand::Drop {
            key: key(generation),
        }
    }

    fn held(generation: u32, file_id: Uuid) -> BlobEvent {
        BlobEvent::Held {
            container: Container::Attachments,
            sha256: "5e".repeat(32),
            generation,
            file_id,
        }
    }

    fn released(file_id: Uuid) -> BlobEvent {
        BlobEvent::Released {
            container: Container::Attachments,
            sha256: "5e".repeat(32),
            generation: 0,
            file_id,
        }
    }

    fn dropped(generation: u32) -> BlobEvent {
        BlobEvent::Dropped {
            container: Container::Attachments,
            sha256: "5e".repeat(32),
            generation,
        }
    }

    #[test]
    fn several_files_hold_it_each_once() {
        given::<Blob>([held(0, FILE)])
            .when(hold(0, OTHER))
            .then([held(0, OTHER)]);
        given::<Blob>([held(0, FILE)])
            .when(hold(0, FILE))
            .then_nothing();
    }

    #[test]
    fn it_is_dropped_once_no_file_has_it() {
        given::<Blob>([held(0, FILE)]).when(drop(0)).then_nothing();
        given::<Blob>([held(0, FILE), held(0, OTHER), released(FILE)])
            .when(drop(0))
            .then_nothing();
        given::<Blob>([held(0, FILE), released(FILE)])
            .when(drop(0))
            .then([dropped(0)]);
    }

    #[test]
    fn bytes_that_were_never_recorded_are_dropped_too() {
        given::<Blob>([]).when(drop(0)).then([dropped(0)]);
    }

    #[test]
    fn bytes_written_before_the_drop_are_not_relied_on() {
        given::<Blob>([dropped(0)])
            .when(hold(0, FILE))
            .then_refused(BlobRule::Dropped);
        given::<Blob>([dropped(0)])
            .when(hold(1, FILE))
            .then([held(1, FILE)]);
    }

    #[test]
    fn a_generation_is_dropped_once() {
        given::<Blob>([dropped(0)]).when(drop(0)).then_nothing();
        given::<Blob>([]).when(drop(1)).then_nothing();
    }

    #[test]
    fn a_file_lets_go_once() {
        let release = BlobCommand::Release {
            key: key(0),
            file_id: FILE,
        };
        given::<Blob>([held(0, FILE)])
            .when(release.clone())
            .then([released(FILE)]);
        given::<Blob>([]).when(release).then_nothing();
    }

    #[test]
    fn a_key_is_read_as_it_was_written_and_in_no_other_way() {
        let written = key(3).to_string();
        assert_eq!(written.parse(), Ok(key(3)));
        assert_eq!(key(0).id(), key(3).id());
        let digest = "5e".repeat(32);
        for other in [
            written.replace(".3", ".03"),
            written.replace(".3", ""),
            written.replace("5e", "5E"),
            written.replace("attachments", "cellar"),
            written.replace('/', "//"),
            format!("{written}/x"),
            digest,
        ] {
            assert_eq!(other.parse::<BlobKey>(), Err(BlobKeyError), "{other}");
        }
    }
}
