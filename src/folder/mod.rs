//! Folders of notes as people keep them: `daybook import` makes notes and artifacts of their files, `daybook export` writes them back.

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

/// Commands on their way at once.
const AT_ONCE: usize = 32;
