//! `daybook operator-key`: for whoever has lost the first one but still has the machine.

use std::error::Error;

use commands::{Executor, Request};
use domain::identity::product::OPERATOR;
use uuid::Uuid;

use crate::config::Config;
use crate::node::Node;
use crate::output::print;
use crate::{secret_key, serve};

pub async fn run(config: &Config) -> Result<(), Box<dyn Error>> {
    let node = Node::open_existing(config).await?;
    let secrets = secret_key::load(config, &node.database).await?;
    let id = Uuid::now_v7();
    let request = Request {
        causation_id: None,
        ..Request::reaction(OPERATOR, id, id, format!("operator key {id}"))
    };
    let executor = Executor::new(node.store.clone());
    executor
        .execute(&request, &serve::operator_key(id, &secrets))
        .await?;
    print(&format!("operator API key: {}", secrets.api_key(id, 0)))?;
    drop(executor);
    Ok(node.close().await?)
}
