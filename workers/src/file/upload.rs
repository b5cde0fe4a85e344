//! Expires requested files that were never uploaded, which frees their storage.

use chrono::{DateTime, Utc};
use commands::Handler;
use commands::operations::file::End;
use domain::operations::file::{File, FileEvent};
use uuid::Uuid;

use crate::expiry::Expiring;

/// Requested files without an upload.
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
