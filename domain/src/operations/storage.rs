//! The storage of a product: the space used by its files. Every command that reserves space guards this stream, so that
//! no two uploads get the last byte.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::file::File;
use crate::{Aggregate, Audience, DecisionContext, Rejection, Rule, events};

events! {
    /// Events of a product's storage.
    pub enum StorageEvent {
        /// Space was reserved for a file.
        Reserved("storage.reserved", 1) { file_id: Uuid, bytes: u64 },
        /// Space was released, because the file is gone or was never uploaded.
        Released("storage.released", 1) { file_id: Uuid, bytes: u64 },
    }
}

/// The limits of a product's storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub bytes: u64,
    pub files: u64,
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "storage.", serialize_all = "snake_case")]
pub enum StorageCommand {
    Reserve {
        file_id: Uuid,
        bytes: u64,
        quota: Quota,
    },
    Release {
        file_id: Uuid,
        bytes: u64,
    },
}

/// Rules of storage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum StorageRule {
    /// The files would exceed the maximum number of bytes.
    #[error(
        "{used} of {limit} bytes are used, and {wanted} more are too many; delete files first, or ask the operator for a larger quota"
    )]
    BytesExhausted { used: u64, limit: u64, wanted: u64 },
    /// The files would exceed the maximum number of files.
    #[error(
        "{used} of {limit} files are there; delete some first, or ask the operator for a larger quota"
    )]
    FilesExhausted { used: u64, limit: u64 },
}

impl Rule for StorageRule {
    type Of = Storage;
}

/// Reasons to refuse a command.
pub type StorageRefusal = Rejection<StorageRule>;

/// The used storage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Storage {
    pub bytes: u64,
    pub files: u64,
}

impl From<Option<Self>> for Storage {
    fn from(stored: Option<Self>) -> Self {
        stored.unwrap_or_default()
    }
}

impl Aggregate for Storage {
    const CATEGORY: &'static str = "storage";
    const SCOPE: &'static str = File::SCOPE;
    const AUDIENCE: Audience = Audience::Product;
    type Command = StorageCommand;
    type Event = StorageEvent;
    type Rule = StorageRule;

    fn evolve(self, event: &StorageEvent) -> Self {
        match event {
            StorageEvent::Reserved { bytes, .. } => Self {
                bytes: self.bytes.saturating_add(*bytes),
                files: self.files.saturating_add(1),
            },
            StorageEvent::Released { bytes, .. } => Self {
                bytes: self.bytes.saturating_sub(*bytes),
                files: self.files.saturating_sub(1),
            },
        }
    }

    fn decide(
        &self,
        command: StorageCommand,
        _: &DecisionContext,
    ) -> Result<Vec<StorageEvent>, StorageRefusal> {
        match command {
            StorageCommand::Reserve { quota, .. } if self.files >= quota.files => {
                Err(StorageRule::FilesExhausted {
                    used: self.files,
                    limit: quota.files,
                }
                .into())
            }
            StorageCommand::Reserve { bytes, quota, .. }
                if self.bytes.saturating_add(bytes) > quota.bytes =>
            {
                Err(StorageRule::BytesExhausted {
                    used: self.bytes,
                    limit: quota.bytes,
                    wanted: bytes,
                }
                .into())
            }
            StorageCommand::Reserve { file_id, bytes, .. } => {
                Ok(vec![StorageEvent::Reserved { file_id, bytes }])
            }
            StorageCommand::Release { file_id, bytes } => {
                Ok(vec![StorageEvent::Released { file_id, bytes }])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    const QUOTA: Quota = Quota {
        bytes: 10,
        files: 2,
    };
    const FILE: Uuid = Uuid::from_u128(7);

    fn reserve(bytes: u64) -> StorageCommand {
        StorageCommand::Reserve {
            file_id: FILE,
            bytes,
            quota: QUOTA,
        }
    }

    fn reserved(bytes: u64) -> StorageEvent {
        StorageEvent::Reserved {
            file_id: FILE,
            bytes,
        }
    }

    fn released(bytes: u64) -> StorageEvent {
        StorageEvent::Released {
            file_id: FILE,
            bytes,
        }
    }

    #[test]
    fn the_last_byte_can_be_reserved_and_not_one_more() {
        given::<Storage>([reserved(4)])
            .when(reserve(6))
            .then([reserved(6)]);
        given::<Storage>([reserved(4)])
            .when(reserve(7))
            .then_refused(StorageRule::BytesExhausted {
                used: 4,
                limit: 10,
                wanted: 7,
            });
        given::<Storage>([reserved(4)])
            .when(reserve(u64::MAX))
            .then_refused(StorageRule::BytesExhausted {
                used: 4,
                limit: 10,
                wanted: u64::MAX,
            });
    }

    #[test]
    fn the_last_file_can_be_reserved_and_not_one_more() {
        given::<Storage>([reserved(0)])
            .when(reserve(0))
            .then([reserved(0)]);
        given::<Storage>([reserved(0), reserved(0)])
            .when(reserve(0))
            .then_refused(StorageRule::FilesExhausted { used: 2, limit: 2 });
    }

    #[test]
    fn what_is_given_back_can_be_reserved_again() {
        given::<Storage>([reserved(10), released(10)])
            .when(reserve(10))
            .then([reserved(10)]);
    }

    #[test]
    fn a_quota_below_what_is_used_refuses_and_takes_nothing_away() {
        given::<Storage>([reserved(11)])
            .when(reserve(0))
            .then_refused(StorageRule::BytesExhausted {
                used: 11,
                limit: 10,
                wanted: 0,
            });
    }
}
