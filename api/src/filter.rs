//! Filters of lists: query parameters that select rows.

use projections::Where;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::IntoParams;

use crate::problem::Problem;

/// Query parameters that select the rows of a list.
pub trait Filter: Serialize + DeserializeOwned + IntoParams + Send + 'static {
    /// Returns the conditions on the rows. By default each given parameter must equal the column of its name.
    fn conditions(self) -> Result<Where, Problem> {
        columns(&self)
    }

    /// Returns true for all rows of the product, which callers may list who manage its keys.
    fn is_for_all(&self) -> bool {
        false
    }
}

/// The filter of a list that has no parameters besides the page.
#[derive(Serialize, Deserialize, IntoParams)]
pub struct NoFilter {}

impl Filter for NoFilter {}

/// Returns the condition that each given parameter equals the column of its name.
pub fn columns(filter: &impl Serialize) -> Result<Where, Problem> {
    let filter = serde_json::to_value(filter).map_err(|error| Problem::internal(&error))?;
    let parameters = filter.as_object().into_iter().flatten();
    Ok(
        parameters.fold(Where::default(), |wanted, (name, value)| match value {
            Value::Null => wanted,
            Value::String(text) => wanted.equals(name, text.clone()),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                wanted.equals(name, value.to_string())
            }
        }),
    )
}
