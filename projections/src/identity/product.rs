//! The read model of products.

use domain::identity::product::{Product, ProductContent, ProductEvent};
use store::Recorded;

use crate::{ReadModel, evolve, visible};

pub struct Products;

impl ReadModel for Products {
    const TABLE: &'static str = "products";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/product.sql");
    // A product's stream belongs to the product itself.
    const VISIBLE: &'static str = visible::IN_PRODUCT;
    type Of = Product;
    type Content = ProductContent;

    fn apply(
        product: Option<ProductContent>,
        event: ProductEvent,
        _: &Recorded,
    ) -> Option<ProductContent> {
        evolve::<Product, _>(product, &event)
    }
}
