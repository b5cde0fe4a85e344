//! A product on a server, with one person in it: what almost every test starts with.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::Value;
use tokio_postgres::types::ToSql;
use tokio_postgres::{NoTls, Row};
use uuid::Uuid;

use crate::harness::{Answer, Client, Server, eventually};
use crate::shared::shared;

/// A product of the test's own, and one person with all scopes there, on a server with the products of other tests.
///
/// Tests therefore assert only about this product and the products of [`TestApp::stranger`]. A test that stops or configures the
/// server, alters its tables, or looks at all that is there takes an [`OwnApp`].
#[derive(Clone)]
pub struct TestApp {
    /// Address of the server.
    pub url: String,
    pub operator: Client,
    pub product_id: Uuid,
    /// A person of the product with all scopes.
    pub alice: Client,
    database_url: String,
    /// This product and those of strangers.
    products: Arc<Mutex<Vec<Uuid>>>,
}

impl TestApp {
    /// Creates a product on the server that tests share.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Creates a product on the server that tests with the same environment variables share.
    pub async fn start_with(variables: &[(&str, &str)]) -> Self {
        let server = shared(variables).await;
        // A client's connections end with the runtime of its test, so that each test has clients of its own.
        let operator = Client::new(&server.url, &server.operator_key);
        Self::on(operator, server.database_url.clone()).await
    }

    async fn on(operator: Client, database_url: String) -> Self {
        let product_id = operator.product("Test").await;
        let alice = operator.actor(product_id, "person", &["*"]).await;
        Self {
            url: operator.url.clone(),
            operator,
            product_id,
            alice,
            database_url,
            products: Arc::new(Mutex::new(vec![product_id])),
        }
    }

    /// Creates an actor of the product with a key of their own.
    pub async fn actor(&self, kind: &str, scopes: &[&str]) -> Client {
        self.operator.actor(self.product_id, kind, scopes).await
    }

    /// Creates an actor with all scopes in another product.
    pub async fn stranger(&self) -> Client {
        let product_id = self.operator.product("Other").await;
        self.products.lock().unwrap().push(product_id);
        self.operator.actor(product_id, "person", &["*"]).await
    }

    /// Returns this product and those of strangers.
    pub fn products(&self) -> Vec<Uuid> {
        self.products.lock().unwrap().clone()
    }

    /// Returns the position of the last event in the products.
    pub async fn position(&self) -> i64 {
        const LAST: &str =
            "select coalesce(max(position), 0) from log.events where product_id = any($1)";
        self.ask(LAST, &[&self.products()]).await.get(0)
    }

    /// Asserts that the request appended no event to any product.
    pub async fn appended_nothing(&self, answer: &Answer) {
        let correlation_id = answer.header("daybook-correlation-id");
        let events = format!("correlation_id={correlation_id}");
        assert_eq!(self.operator.events(&events).await, Vec::<Value>::new());
    }

    /// Waits until every reaction has read all events of the products, and no job of theirs is due within a minute.
    pub async fn settle(&self) {
        const STATE: &str = "
            select (select coalesce(max(position), 0) from log.events where product_id = any($1)),
                exists (select from log.jobs where product_id = any($1) and not dead_letter and run_at <= now() + interval '1 minute')";
        let request = || self.operator.request(Method::GET, "/health/ready");
        eventually(async || {
            let ready = self.operator.send(request()).await.body;
            // Asked afterwards: what a job has appended by now, no consumer has read before.
            let state = self.ask(STATE, &[&self.products()]).await;
            let (last, busy): (i64, bool) = (state.get(0), state.get(1));
            let caught_up = ready["consumers"]
                .as_array()?
                .iter()
                .all(|consumer| consumer["position"].as_i64() >= Some(last));
            (caught_up && !busy).then_some(())
        })
        .await;
    }

    /// Asks the database itself for a row about the products.
    pub(crate) async fn ask(&self, query: &str, parameters: &[&(dyn ToSql + Sync)]) -> Row {
        let row = connect(&self.database_url)
            .await
            .query_one(query, parameters)
            .await;
        row.unwrap()
    }

    /// Changes something of the products in the database itself.
    pub(crate) async fn change(&self, statement: &str, parameters: &[&(dyn ToSql + Sync)]) {
        let database = connect(&self.database_url).await;
        database.execute(statement, parameters).await.unwrap();
    }
}

async fn connect(database_url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(database_url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A [`TestApp`] on a server and a database of its own. Dropping it kills the server at once.
pub struct OwnApp {
    pub app: TestApp,
    pub server: Server,
    pub database_url: String,
}

impl Deref for OwnApp {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.app
    }
}

impl DerefMut for OwnApp {
    fn deref_mut(&mut self) -> &mut TestApp {
        &mut self.app
    }
}

impl OwnApp {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with additional environment variables.
    pub async fn start_with(variables: &[(&str, &str)]) -> Self {
        let database = store::testing::database().await;
        let database_url = store::testing::url(&database);
        let server = Server::start(&database_url, variables).await;
        Self::on(server, database_url).await
    }

    /// Sets up a server that has just started on a new database.
    pub async fn on(server: Server, database_url: String) -> Self {
        let key = server
            .operator_key
            .clone()
            .expect("the first start writes the key");
        let operator = Client::new(&server.url, &key);
        Self {
            app: TestApp::on(operator, database_url.clone()).await,
            server,
            database_url,
        }
    }

    /// Opens a connection to the database itself.
    pub async fn sql(&self) -> tokio_postgres::Client {
        connect(&self.database_url).await
    }

    /// Kills the server, and starts another on the same database.
    pub async fn restart(self, variables: &[(&str, &str)]) -> Self {
        self.server.kill().await;
        let server = Server::start(&self.database_url, variables).await;
        Self::moved(&self.app, server, self.database_url)
    }

    /// Returns an app with the same product on another server, whose database has the same log.
    pub fn moved(app: &TestApp, server: Server, database_url: String) -> Self {
        let app = TestApp {
            url: server.url.clone(),
            operator: app.operator.at(&server.url),
            alice: app.alice.at(&server.url),
            database_url: database_url.clone(),
            ..app.clone()
        };
        Self {
            app,
            server,
            database_url,
        }
    }
}
