//! Products, created by the operator.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::{On, Request};
use domain::identity::product::{Product, ProductCommand, ProductContent};
use projections::Row;
use projections::identity::product::Products;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::command::Command;
use crate::filter::NoFilter;
use crate::problem::Problem;
use crate::resource::Resource;

pub fn routes() -> OpenApiRouter<App> {
    Resource::<Products>::at("/products")
        .with(routes!(create))
        .list::<NoFilter>("Lists the caller's own product, or every product for the operator.")
        .get("Returns one product.")
        .routes()
}

/// A product to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewProduct {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
}

/// Creates a product. Only the operator can.
#[utoipa::path(post, path = "/products", tag = "products", request_body = NewProduct,
    responses((status = 201, body = Row<ProductContent>)), security(("api_key" = ["products:write"])))]
async fn create(State(app): State<App>, command: Command<NewProduct>) -> Result<Response, Problem> {
    let id = Uuid::now_v7();
    // A product's stream belongs to the product itself.
    let request = Request {
        product_id: id,
        ..command.request
    };
    let name = command.body.name;
    let create = On::<Product> {
        id,
        command: ProductCommand::Create { name },
    };
    app.run::<Products>(&request, &create, StatusCode::CREATED)
        .await
}
