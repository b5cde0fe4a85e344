//! `daybook operator-key`: for an operator who has lost the first one but still has the machine.

use std::error::Error;

use commands::{Executor, Request};
use domain::identity::product::OPERATOR;
use uuid::Uuid;

use crate::config::Config;
use crate::node::Node;
use crate::private_file::Draft;
use crate::secret_key;
use crate::serve::{self, ServeError};

pub async fn run(config: &Config) -> Result<(), Box<dyn Error>> {
    let file = &config.operator_key_file;
    let taken = || {
        format!(
            "{} exists: move it away, or name another file in DAYBOOK_OPERATOR_KEY_FILE",
            file.display()
        )
    };
    if file.exists() {
        return Err(taken().into());
    }
    let node = Node::open_existing(config).await?;
    let secrets = secret_key::load(config, &node.database).await?;
    let id = Uuid::now_v7();
    let fault = |source| ServeError::OperatorKeyFile {
        path: file.display().to_string(),
        source,
    };
    let draft = Draft::write(file, &format!("{}\n", secrets.api_key(id, 0))).map_err(fault)?;
    let request = Request {
        causation_id: None,
        ..Request::reaction(OPERATOR, id, id, format!("operator key {id}"))
    };
    let executor = Executor::new(node.store.clone());
    executor
        .execute(&request, &serve::operator_key(id, &secrets))
        .await?;
    if !draft.publish().map_err(fault)? {
        return Err(taken().into());
    }
    serve::print_operator_key_file(file)?;
    drop(executor);
    Ok(node.close().await?)
}
