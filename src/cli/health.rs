//! `daybook health`: for container health checks, which have no HTTP client of their own.

use std::error::Error;

use clap::Args;

use crate::output::print;

#[derive(Args)]
pub struct Health {
    /// Base URL of the server
    #[arg(long, env = "DAYBOOK_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
}

impl Health {
    pub async fn run(self) -> Result<(), Box<dyn Error>> {
        let url = format!("{}/health/ready", self.server.trim_end_matches('/'));
        let answer = reqwest::get(url).await.map_err(|error| {
            format!("{error}; --server (or DAYBOOK_SERVER) says where the server is")
        })?;
        let ready = answer.status().is_success();
        print(&answer.text().await?)?;
        if ready {
            Ok(())
        } else {
            Err("the server is not ready".into())
        }
    }
}
