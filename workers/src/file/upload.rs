//! Files that were asked for and never came: their room is free again.

use chrono::{DateTime, Utc};
use commands::Handler;
use commands::operations::file::End;
use domain::operations::file::{File, FileEvent};
use uuid::Uuid;

use crate::expiry::Expiring;

/// Files that have not come yet.
pub struct Uploads;

impl Expiring for Uploads {
    type Aggregate = File;
    const KIND: &'static str = "file.expire";
    const DEADLINES: &'static str = "file_deadlines";

    fn deadline(event: &FileEvent) -> Option<DateTime<Utc>> {
        if let FileEvent::Requested { upload } = event {
            Some(upload.expires_at)
        } else {
            None
        }
    }

    fn expire(id: Uuid) -> Box<dyn Handler> {
        Box::new(End::expire(id))
    }

    fn is_pending(file: &File) -> bool {
        matches!(file, File::Requested(_))
    }
}
