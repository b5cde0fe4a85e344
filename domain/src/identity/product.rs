//! Products: the tenants that own streams, keys and workspaces.

use derive_more::{From, Into};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    Aggregate, Audience, DecisionContext, NoRule, Rejection, RequiredPermission, Violations, events,
};

/// The operator's own product. Its keys create other products and read all of them.
pub const OPERATOR: Uuid = Uuid::nil();

events! {
    /// Events of a product.
    pub enum ProductEvent {
        /// The operator created a product.
        Created("product.created", 1) { name: String },
    }
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "product.", serialize_all = "snake_case")]
pub enum ProductCommand {
    Create { name: String },
}

/// Reasons to refuse a command.
pub type ProductRefusal = Rejection<NoRule<Product>>;

/// A product, if it was created.
#[derive(Debug, Clone, Default, PartialEq, From, Into)]
pub struct Product(Option<ProductContent>);

/// The fields of a product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Product)]
pub struct ProductContent {
    pub name: String,
}

impl Aggregate for Product {
    const CATEGORY: &'static str = "product";
    const SCOPE: &'static str = "products";
    const AUDIENCE: Audience = Audience::Product;
    type Command = ProductCommand;
    type Event = ProductEvent;
    type Rule = NoRule<Self>;

    fn evolve(self, event: &ProductEvent) -> Self {
        match event {
            ProductEvent::Created { name } => Some(ProductContent { name: name.clone() }).into(),
        }
    }

    fn required_permission(
        &self,
        _: Uuid,
        ProductCommand::Create { .. }: &ProductCommand,
        _: &DecisionContext,
    ) -> RequiredPermission {
        RequiredPermission::Operator
    }

    fn decide(
        &self,
        command: ProductCommand,
        _at: &DecisionContext,
    ) -> Result<Vec<ProductEvent>, ProductRefusal> {
        let ProductCommand::Create { name } = command;
        let mut violations = Violations::default();
        violations.require_line(&name, 1, 200, "/name");
        violations.into_result()?;
        match &self.0 {
            None => Ok(vec![ProductEvent::Created { name }]),
            Some(_) => Err(ProductRefusal::Exists),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn create(name: &str) -> ProductCommand {
        ProductCommand::Create { name: name.into() }
    }

    #[test]
    fn it_is_created_once() {
        let created = ProductEvent::Created {
            name: "Notes".into(),
        };
        given::<Product>([])
            .when(create("Notes"))
            .then([created.clone()]);
        given::<Product>([created])
            .when(create("Notes"))
            .then_refused(ProductRefusal::Exists);
    }

    #[test]
    fn it_needs_a_name() {
        given::<Product>([])
            .when(create(""))
            .then_invalid(&["/name"]);
    }
}
