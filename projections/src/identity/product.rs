//! The read model of products.

use domain::Aggregate;
use domain::identity::product::{Product, ProductEvent};
use serde::{Deserialize, Serialize};
use store::Recorded;
use utoipa::ToSchema;

use crate::{ReadModel, visible};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Product)]
pub struct ProductContent {
    pub name: String,
}

pub struct Products;

impl ReadModel for Products {
    const NAME: &'static str = Product::CATEGORY;
    const SCOPE: &'static str = Product::SCOPE;
    const TABLE: &'static str = "products";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/product.sql");
    // A product's stream belongs to the product itself.
    const VISIBLE: &'static str = visible::IN_PRODUCT;
    type Event = ProductEvent;
    type Content = ProductContent;

    fn apply(
        _: Option<ProductContent>,
        event: ProductEvent,
        _: &Recorded,
    ) -> Option<ProductContent> {
        match event {
            ProductEvent::Created { name } => Some(ProductContent { name }),
        }
    }
}
