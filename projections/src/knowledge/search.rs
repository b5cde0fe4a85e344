//! Search in titles, tags and bodies.

mod correction;
mod cursor;
mod document;
mod parsed_query;
mod projection;
mod query;
mod snippet;
mod suggestion;
mod typo;
mod vector;
mod vocabulary;
mod words;

pub use cursor::{NoPlace, Place};
pub use projection::Search;
pub use query::{Count, Facets, Hit, KINDS, Kind, Results, Wanted, search};
pub use snippet::Fragment;
pub use suggestion::{Suggestion, suggest};
