//! Every operation in the OpenAPI document, and a world in which each can be called: for tests that cover all operations,
//! including future ones.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Client, OwnApp, eventually, id};
use crate::mcp_wire;
use crate::receiver::Receiver;

/// A word in every text of the world, so that any leak is noticed.
pub const MARK: &str = "marigold";

/// The media type of uploads.
const BYTES: &str = "application/octet-stream";
/// The media type of a form with a file.
const FORM: &str = "multipart/form-data";

/// An operation of the OpenAPI document.
#[derive(Debug, Clone)]
pub struct Operation {
    pub method: Method,
    /// Path with its parameters in braces.
    pub path: String,
    pub spec: Value,
}

impl Operation {
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub fn is_read(&self) -> bool {
        self.method == Method::GET
    }

    pub fn has_path_parameters(&self) -> bool {
        self.path.contains('{')
    }

    pub fn query_parameters(&self) -> BTreeSet<&str> {
        self.parameters("query")
    }

    pub fn parameters(&self, place: &str) -> BTreeSet<&str> {
        let parameters = self.spec["parameters"].as_array();
        parameters
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == place)
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect()
    }

    /// Returns true for operations that need no scope.
    pub fn takes_no_scope(&self) -> bool {
        ["GET /v1/me", "POST /v1/api-keys/enrol"].contains(&self.name().as_str())
    }

    /// Returns the one scope that the operation requires.
    pub fn scope(&self) -> &str {
        let security = self.spec["security"].as_array();
        let scopes: Vec<&str> = security
            .into_iter()
            .flatten()
            .filter_map(|requirement| requirement["api_key"].as_array())
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let [scope] = scopes.as_slice() else {
            panic!(
                "{} must need exactly one scope, not {scopes:?}",
                self.name()
            )
        };
        scope
    }

    /// Returns the scopes of resources of other contexts that the operation shows.
    pub fn scopes_of_its_things(&self) -> &'static [&'static str] {
        if self.path.starts_with("/v1/events/{") {
            &["notes:read"]
        } else {
            &[]
        }
    }

    /// Returns the path of the same call on missing resources.
    pub fn on_nothing(&self) -> String {
        let fill = |segment: &str| match segment.starts_with('{') {
            true => Uuid::now_v7().to_string(),
            false => segment.to_owned(),
        };
        let segments: Vec<String> = self.path.split('/').map(fill).collect();
        segments.join("/")
    }
}

/// The OpenAPI document.
pub struct Document {
    pub json: Value,
    /// Validators by schema: building one reads the whole document.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Document {
    pub async fn of(client: &Client) -> Self {
        let request = client.request(Method::GET, "/openapi.json");
        Self {
            json: client.send(request).await.expect(200),
            validators: Mutex::default(),
        }
    }

    pub fn operations(&self) -> Vec<Operation> {
        let mut operations = vec![];
        for (path, item) in self.json["paths"].as_object().unwrap() {
            for (method, spec) in item.as_object().unwrap() {
                operations.push(Operation {
                    method: method.to_uppercase().parse().unwrap(),
                    path: path.clone(),
                    spec: spec.clone(),
                });
            }
        }
        operations
    }

    /// Returns the operations that need a key.
    pub fn guarded(&self) -> Vec<Operation> {
        let mut operations = self.operations();
        operations.retain(|operation| operation.path.starts_with("/v1/"));
        assert!(operations.len() > 40, "the description is not empty");
        operations
    }

    pub fn operation(&self, method: &Method, path: &str) -> Option<Operation> {
        let mut operations = self.operations().into_iter();
        operations.find(|o| o.method == *method && o.path == path)
    }

    pub fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        schema["$ref"].as_str().map_or(schema, |reference| {
            let found = self.json.pointer(reference.strip_prefix('#').unwrap());
            self.resolve(found.unwrap_or_else(|| panic!("{reference} leads nowhere")))
        })
    }

    fn validator(&self, schema: &Value, is_open: bool) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap();
        let validator = validators.entry(schema.to_string()).or_insert_with(|| {
            let closed = json!({
                "allOf": [schema],
                "unevaluatedProperties": is_open,
                "components": self.json["components"],
            });
            let options = jsonschema::draft202012::options().should_validate_formats(true);
            Arc::new(options.build(&closed).unwrap())
        });
        Arc::clone(validator)
    }

    /// Lists the differences between a value and a schema; unknown fields are faults, unless the schema names none.
    pub fn faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        let resolved = self.resolve(schema);
        let is_open = resolved
            .get("properties")
            .or(resolved.get("allOf"))
            .is_none();
        let validator = self.validator(schema, is_open);
        let mut faults: Vec<String> = validator
            .iter_errors(value)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        // Every item of a list is checked the same way.
        let item = &resolved["properties"]["items"]["items"];
        if let (false, Some(items)) = (item.is_null(), value["items"].as_array()) {
            faults.extend(items.iter().flat_map(|value| self.faults(item, value)));
        }
        faults
    }
}

/// A product with resources of every kind, and actors with all permissions on them.
pub struct World {
    pub app: OwnApp,
    pub document: Document,
    /// Agent whose proposals Alice may decide.
    pub agent: Client,
    /// Person whose key the operator still holds.
    newcomer: Client,
    receiver: Receiver,
    workspace_id: Uuid,
    note_id: Uuid,
    event_id: String,
    delivery_id: Uuid,
    actions_hash: Value,
    /// Two tasks, in order.
    neighbours: [Uuid; 2],
    /// A picture.
    file_id: Uuid,
}

impl World {
    pub async fn start() -> Self {
        let app = OwnApp::start().await;
        let document = Document::of(&app.alice).await;
        let receiver = Receiver::start().await;
        let workspace_id = app.alice.workspace().await;
        let agent = app.actor("agent", &["*"]).await;
        app.alice.admit(workspace_id, &agent, "agent").await;
        let newcomer = app.actor("person", &["*"]).await;
        let webhook = json!({"url": receiver.url, "events": ["note.created"], "description": MARK});
        let webhook = app.alice.post("/v1/webhooks", webhook).await.expect(201);
        let body = format!("[[{MARK}]]");
        let note = app.alice.note(workspace_id, MARK, &body).await;
        let deliveries = format!("/v1/webhooks/{}/deliveries?status=succeeded", id(&webhook));
        let delivery_id =
            eventually(async || app.alice.ids(&deliveries).await.first().copied()).await;
        let event_id = app.alice.events("category=note").await[0]["event_id"].clone();
        let mut world = Self {
            document,
            agent,
            newcomer,
            receiver,
            workspace_id,
            note_id: id(&note),
            event_id: event_id.as_str().unwrap().to_owned(),
            delivery_id,
            actions_hash: Value::Null,
            neighbours: [Uuid::nil(); 2],
            file_id: Uuid::nil(),
            app,
        };
        world.actions_hash = world.make("proposals").await["actions_hash"].clone();
        world.make("agents").await;
        for n in 0..2 {
            world.neighbours[n] = id(&world.make("tasks/suggestions").await);
        }
        world.make("calendar-feeds").await;
        world.tool_call().await;
        world.make("files").await;
        world.file_id = world.picture().await;
        world.artifact().await;
        // No asynchronous work is left.
        world.app.settle().await;
        world
    }

    /// Returns the id of a recorded tool call.
    async fn tool_call(&self) -> String {
        let arguments = json!({"note_id": self.note_id});
        mcp_wire::call(&self.agent, "read_note", arguments)
            .await
            .expect(200);
        self.app.alice.ids("/v1/tool-calls").await[0].to_string()
    }

    /// Returns the path of an operation on existing resources, created for this call if possible.
    pub async fn path(&self, operation: &Operation) -> String {
        if operation.path == "/files/{id}" {
            return self.signed(&operation.method).await;
        }
        let mut path = String::new();
        let mut collection = "";
        for segment in operation.path.split('/').skip(1) {
            path.push('/');
            if segment.starts_with('{') {
                path.push_str(&self.thing(collection).await);
            } else {
                path.push_str(segment);
                collection = segment;
            }
        }
        path
    }

    /// Returns the address for uploading or downloading the bytes of a file.
    async fn signed(&self, method: &Method) -> String {
        let file = self.make("files").await;
        if *method == Method::PUT {
            return file["upload"]["url"].as_str().unwrap().to_owned();
        }
        self.upload(&file).await;
        let path = format!("/v1/files/{}/download", id(&file));
        let download = self.app.alice.get(&path).await.expect(200);
        download["url"].as_str().unwrap().to_owned()
    }

    async fn upload(&self, file: &Value) {
        let url = file["upload"]["url"].as_str().unwrap();
        let alice = &self.app.alice;
        let request = alice.request(Method::PUT, url).body(MARK);
        let request = request.header("Content-Type", BYTES);
        alice.send(request).await.expect(200);
    }

    /// Returns the id of one resource of a collection.
    async fn thing(&self, collection: &str) -> String {
        match collection {
            "products" => self.app.product_id.to_string(),
            "members" => self.newcomer.actor_id.to_string(),
            "deliveries" => self.delivery_id.to_string(),
            "events" => self.event_id.clone(),
            "links" => self.note_id.to_string(),
            "tool-calls" => self.tool_call().await,
            "jobs" => self.dead_job().await.to_string(),
            "files" => self.stored_file().await.to_string(),
            "artifacts" => id(&self.artifact().await).to_string(),
            "actors" => {
                let path = format!("/v1/actors/{}/avatar", self.app.alice.actor_id);
                let avatar = json!({"file_id": self.file_id});
                self.app.alice.put(&path, avatar).await.expect(200);
                self.app.alice.actor_id.to_string()
            }
            // A suggestion, so that it can be decided.
            "tasks" => id(&self.make("tasks/suggestions").await).to_string(),
            "calendars" => {
                let feed = self.make("calendar-feeds").await;
                let path = feed["path"].as_str().unwrap();
                path.strip_prefix("/calendars/").unwrap().to_owned()
            }
            _ => id(&self.make(collection).await).to_string(),
        }
    }

    /// Creates a resource of a collection with the operation for it.
    async fn make(&self, collection: &str) -> Value {
        let path = format!("/v1/{collection}");
        let Some(create) = self.document.operation(&Method::POST, &path) else {
            panic!(
                "there is no operation that makes one of {collection}: tell `World::thing` where to find one"
            )
        };
        let answer = self.call(self.caller(&create), &create, &path).await;
        assert_eq!(answer.status, 201, "{}: {:#}", create.name(), answer.body);
        answer.body
    }

    /// Creates a dead letter.
    pub async fn dead_job(&self) -> Uuid {
        let item = Uuid::now_v7();
        self.app
            .sql()
            .await
            .execute(
                "insert into log.jobs (id, kind, product_id, payload, run_at, dead_letter)
                 values ($1, 'proposal.expire', $2, '{}', now(), true)",
                &[&item, &self.app.product_id],
            )
            .await
            .unwrap();
        item
    }

    /// Returns a client that may call an operation.
    pub fn caller(&self, operation: &Operation) -> &Client {
        match operation.path.as_str() {
            "/v1/proposals" | "/v1/proposals/{id}/withdraw" | "/v1/proposals/{id}/rebase" => {
                &self.agent
            }
            "/v1/api-keys/enrol" => &self.newcomer,
            "/v1/products" | "/v1/jobs" | "/v1/jobs/{id}/redrive" => &self.app.operator,
            _ => &self.app.alice,
        }
    }

    /// Brings the resource at the path into the state that an operation requires.
    pub async fn prepare(&self, operation: &Operation, path: &str) {
        let alice = &self.app.alice;
        match (operation.method.as_str(), operation.path.as_str()) {
            ("DELETE", "/v1/notes/{id}") => {
                alice.post_empty(&format!("{path}/trash")).await.expect(200);
            }
            ("POST", "/v1/proposals/{id}/revert") => {
                let approve = path.replace("/revert", "/approve");
                let approval = json!({"actions_hash": self.actions_hash});
                alice.post(&approve, approval).await.expect(200);
            }
            ("POST", "/v1/tasks/{id}/complete" | "/v1/tasks/{id}/reopen") => {
                let accept = path
                    .replace("complete", "accept")
                    .replace("reopen", "accept");
                alice.post_empty(&accept).await.expect(200);
            }
            ("POST", "/v1/tasks/{id}/restore") => {
                let task = path.trim_end_matches("/restore");
                alice.delete(task).await.expect(204);
            }
            ("DELETE", "/v1/workspaces/{id}/members/{actor_id}") => {
                alice.put(path, json!({"role": "viewer"})).await.expect(200);
            }
            ("GET", "/v1/notes/{id}/artifacts") => {
                let body = json!({"file_id": self.file_id});
                alice.post(path, body).await.expect(201);
            }
            ("GET", "/v1/notes/{id}/links") => self.link(path, self.note_id).await,
            ("GET", "/v1/notes/{id}/backlinks") => {
                let target_id = path.split('/').nth(3).unwrap().parse().unwrap();
                let source = format!("/v1/notes/{}/links", self.note_id);
                self.link(&source, target_id).await;
            }
            ("DELETE", "/v1/notes/{id}/links/{target_id}") => {
                let (links, target_id) = path.rsplit_once('/').unwrap();
                self.link(links, target_id.parse().unwrap()).await;
            }
            _ => {}
        }
    }

    /// Attaches an artifact to the note.
    async fn artifact(&self) -> Value {
        let path = format!("/v1/notes/{}/artifacts", self.note_id);
        let body = json!({"file_id": self.file_id, "name": MARK});
        self.app.alice.post(&path, body).await.expect(201)
    }

    /// Uploads a picture.
    async fn picture(&self) -> Uuid {
        let picture = crate::avatar::picture(crate::avatar::PIXEL.len());
        let file = crate::file::request(&self.app.alice, picture).await;
        let uploaded = crate::file::upload(&self.app, &file, crate::avatar::PIXEL).await;
        id(&uploaded.expect(200))
    }

    /// Uploads a file.
    async fn stored_file(&self) -> Uuid {
        let file = self.make("files").await;
        self.upload(&file).await;
        id(&file)
    }

    async fn link(&self, links: &str, target_id: Uuid) {
        let body = json!({"target_id": target_id, "relation": MARK});
        self.app.alice.post(links, body).await.expect(200);
    }

    /// Calls an operation with valid input; a read sees everything that was written before.
    pub async fn call(&self, by: &Client, operation: &Operation, path: &str) -> Answer {
        let mut request = by.request(operation.method.clone(), path);
        if operation.is_read() {
            request = request.header("Daybook-Min-Position", self.app.alice.head().await);
        }
        if let Some(body) = self.body(operation) {
            request = request.json(&body);
        }
        let content = &operation.spec["requestBody"]["content"];
        if content.get(BYTES).is_some() {
            request = request.header("Content-Type", BYTES).body(MARK);
        }
        if content.get(FORM).is_some() {
            let (content_type, form) = crate::attachment::form(&[("file", Some(MARK), MARK)]);
            request = request.header("Content-Type", content_type).body(form);
        }
        by.send(request).await
    }

    /// Returns a valid body, if the operation takes one.
    pub fn body(&self, operation: &Operation) -> Option<Value> {
        if operation.name() == "POST /v1/notes/{id}/artifacts" {
            // A schema cannot say that exactly one of a file and an address is required.
            return Some(json!({"file_id": self.file_id, "name": MARK}));
        }
        let schema = &operation.spec["requestBody"]["content"]["application/json"]["schema"];
        (!schema.is_null()).then(|| self.sample("", schema))
    }

    /// Returns a value that fits a schema: its required fields, or all fields if none is required.
    fn sample(&self, name: &str, schema: &Value) -> Value {
        if let Some(value) = self.known(name) {
            return value;
        }
        let schema = self.document.resolve(schema);
        let given = [
            schema.get("example"),
            schema["enum"].get(0),
            schema.get("const"),
        ];
        if let Some(value) = given.into_iter().flatten().next() {
            return value.clone();
        }
        for choice in ["oneOf", "anyOf"] {
            let options = schema[choice].as_array().into_iter().flatten();
            if let Some(option) = options.into_iter().find(|option| option["type"] != "null") {
                return self.sample(name, option);
            }
        }
        let types = schema["type"].as_array();
        let type_name = types.map_or(Some(&schema["type"]), |types| {
            types.iter().find(|name| **name != "null")
        });
        match type_name.and_then(Value::as_str) {
            Some("string") => match schema["format"].as_str() {
                Some("uuid") => json!(Uuid::now_v7()),
                Some("date-time") => json!(chrono::Utc::now() + chrono::TimeDelta::days(1)),
                Some("date") => json!("2030-01-31"),
                // Names may have to be unique.
                _ if name == "name" => json!(format!("{MARK} {}", Uuid::now_v7())),
                _ => json!(MARK),
            },
            Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
            Some("boolean") => json!(true),
            Some("array") => json!([self.sample("", &schema["items"])]),
            Some("object") => self.sample_object(schema),
            _ if schema.get("allOf").is_some() => {
                let parts = schema["allOf"].as_array().into_iter().flatten();
                let parts = parts.filter_map(|part| self.sample("", part).as_object().cloned());
                Value::Object(parts.flatten().collect())
            }
            other => panic!("{name}: the tests do not know what a {other:?} looks like"),
        }
    }

    fn sample_object(&self, schema: &Value) -> Value {
        let required: BTreeSet<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let wanted = |name: &str| required.is_empty() || required.contains(name);
        let properties = schema["properties"].as_object().into_iter().flatten();
        properties
            .filter(|(name, _)| wanted(name))
            .map(|(name, schema)| (name.clone(), self.sample(name, schema)))
            .collect::<Map<_, _>>()
            .into()
    }

    /// Returns values that a schema cannot define, which refer to resources of this world.
    fn known(&self, name: &str) -> Option<Value> {
        Some(match name {
            "workspace_id" => json!(self.workspace_id),
            "note_id" | "target_id" => json!(self.note_id),
            // Describes the bytes that are sent, if there are any.
            "size" => json!(MARK.len()),
            "media_type" => json!(BYTES),
            "file_id" => json!(self.file_id),
            "sha256" => json!("0".repeat(64)),
            "actions_hash" => self.actions_hash.clone(),
            // An issuer may rotate a key unless it is a person's.
            "kind" => json!("service"),
            "assignee" => json!(self.app.alice.actor_id),
            "after" => json!(self.neighbours[0]),
            "before" => json!(self.neighbours[1]),
            "url" => json!(self.receiver.url),
            "events" => json!(["note.purged"]),
            "headers" => json!({"x-sample": MARK}),
            // Scopes that every issuer of keys has.
            "scopes" => json!(["api_keys:write"]),
            _ => return None,
        })
    }
}
