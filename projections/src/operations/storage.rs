//! The read model of the storage that a product's files use.

use domain::operations::storage::{Storage, StorageEvent};
use store::Recorded;

use crate::{ReadModel, evolve, visible};

pub struct Storages;

impl ReadModel for Storages {
    const TABLE: &'static str = "storages";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/storage.sql");
    const VISIBLE: &'static str = visible::IN_PRODUCT;
    type Of = Storage;
    type Content = Storage;

    fn apply(storage: Option<Storage>, event: StorageEvent, _: &Recorded) -> Option<Storage> {
        evolve::<Storage, _>(storage, &event)
    }
}
