//! Folders of notes: `daybook import` turns their files into notes and artifacts, `daybook export` writes them back.

mod attach;
mod error;
pub mod export;
mod find;
pub mod front_matter;
pub mod import;
mod notes;
mod page;
mod record;
mod style;

pub use error::FolderError;
pub use find::{Found, find};
pub use import::{Folder, Imported};

/// Number of concurrent commands.
const AT_ONCE: usize = 32;
