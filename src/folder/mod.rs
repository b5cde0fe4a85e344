//! Folders of notes as people keep them: `daybook import` makes notes and artifacts of their files, `daybook export` writes them back.

mod attach;
pub mod export;
mod find;
mod front_matter;
pub mod import;
mod page;
mod record;
mod style;

/// Commands on their way at once.
const AT_ONCE: usize = 32;
