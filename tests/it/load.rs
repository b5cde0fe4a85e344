//! People and agents at work on servers that come and go, and invariants of the log afterwards.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::covers;
use futures::StreamExt;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::harness::{Answer, Client, OwnApp, PATIENCE, command, eventually, id};
use crate::receiver::Receiver;

/// Returns a random generator with a printed seed, so that a failure can be reproduced.
pub fn chance() -> StdRng {
    const VARIABLE: &str = "DAYBOOK_TEST_SEED";
    let seed = std::env::var(VARIABLE).map_or_else(
        |_| rand::random(),
        |text| text.parse().expect("the seed is a number"),
    );
    println!("{VARIABLE}={seed} makes the same choices again");
    StdRng::seed_from_u64(seed)
}

/// A command to send, once or several times.
struct Order {
    method: Method,
    path: String,
    body: Value,
    key: String,
}

/// A command with its response.
struct Done {
    actor: Client,
    order: Order,
    answer: Answer,
    /// Types of the events that the command must have appended, in this order.
    events: Vec<&'static str>,
}

/// A person and their agent, who write, revise, propose and approve, each command with its own idempotency key. A command without a
/// response is sent again with the same key, as agents do.
pub struct Crew {
    person: Client,
    agent: Client,
    workspace_id: Uuid,
    /// Addresses of the servers; commands go to each in turn.
    servers: Mutex<Vec<String>>,
    turn: AtomicUsize,
    /// Notes, with their last known versions.
    notes: Mutex<Vec<(Uuid, i64)>>,
    done: Mutex<Vec<Arc<Done>>>,
    acknowledged: watch::Sender<usize>,
    resting: watch::Sender<bool>,
}

impl Crew {
    pub async fn hire(app: &OwnApp, servers: &[&str]) -> Arc<Self> {
        let workspace_id = app.alice.workspace().await;
        let agent = app.actor("agent", &["*"]).await;
        app.alice.admit(workspace_id, &agent, "agent").await;
        let crew = Self {
            person: app.alice.clone(),
            agent,
            workspace_id,
            servers: Mutex::default(),
            turn: AtomicUsize::default(),
            notes: Mutex::default(),
            done: Mutex::default(),
            acknowledged: watch::Sender::new(0),
            resting: watch::Sender::new(false),
        };
        crew.move_to(servers);
        Arc::new(crew)
    }

    /// Sets new addresses of the servers.
    pub fn move_to(&self, servers: &[&str]) {
        *self.servers.lock().unwrap() = servers.iter().map(ToString::to_string).collect();
    }

    /// Starts so many concurrent workers, until they are told to rest.
    pub fn work(self: &Arc<Self>, hands: usize, chance: &mut StdRng) -> Shift {
        let hands = (0..hands).map(|_| {
            let (crew, mut chance) = (Arc::clone(self), StdRng::from_rng(chance));
            tokio::spawn(async move {
                while !*crew.resting.borrow() {
                    crew.step(&mut chance).await;
                }
            })
        });
        Shift {
            crew: Arc::clone(self),
            hands: hands.collect(),
        }
    }

    /// Waits until so many more commands are acknowledged.
    pub async fn acknowledged(&self, more: usize) {
        let mut acknowledged = self.acknowledged.subscribe();
        let wanted = *acknowledged.borrow() + more;
        tokio::time::timeout(PATIENCE, acknowledged.wait_for(|count| *count >= wanted))
            .await
            .expect("the work goes on")
            .unwrap();
    }

    /// Returns the last acknowledged position.
    pub fn position(&self) -> i64 {
        let done = self.done.lock().unwrap();
        let positions = done.iter().map(|done| done.answer.position());
        positions.max().unwrap()
    }

    async fn step(&self, chance: &mut StdRng) {
        let text = format!("{:016x}", chance.random::<u64>());
        let dice = chance.random_range(0..10);
        match self.some_note(chance) {
            Some(note) if dice < 3 => self.revise(note, &text).await,
            Some(note) if dice < 6 => self.propose_and_approve(note, &text).await,
            Some(_) | None => self.write(&text).await,
        }
    }

    fn some_note(&self, chance: &mut StdRng) -> Option<(Uuid, i64)> {
        let notes = self.notes.lock().unwrap();
        // Several workers use the newest notes at once.
        let recent = notes.len().saturating_sub(8);
        (!notes.is_empty()).then(|| notes[chance.random_range(recent..notes.len())])
    }

    async fn write(&self, text: &str) {
        let body = json!({"workspace_id": self.workspace_id, "title": text, "body": text, "tags": ["load"]});
        let note = self
            .order(&self.person, Method::POST, "/v1/notes", body, |_| {
                vec!["note.created"]
            })
            .await
            .expect(201);
        self.notes.lock().unwrap().push((id(&note), 1));
    }

    async fn revise(&self, (note_id, _): (Uuid, i64), text: &str) {
        let path = format!("/v1/notes/{note_id}");
        let revised = self
            .order(
                &self.person,
                Method::PATCH,
                &path,
                json!({"body": text}),
                |_| vec!["note.revised"],
            )
            .await
            .expect(200);
        let version = revised["version"].as_i64().unwrap();
        let mut notes = self.notes.lock().unwrap();
        let note = notes.iter_mut().find(|(id, _)| *id == note_id).unwrap();
        note.1 = note.1.max(version);
    }

    /// Proposes and approves a change; this may fail if another worker has revised the note meanwhile.
    async fn propose_and_approve(&self, (note_id, base_version): (Uuid, i64), text: &str) {
        let actions = json!([
            {"type": "note.create", "title": text, "body": text},
            {"type": "note.revise", "note_id": note_id, "base_version": base_version, "title": text},
            {"type": "note.tag", "note_id": note_id, "add": [text]},
        ]);
        let body =
            json!({"workspace_id": self.workspace_id, "actions": actions, "rationale": text});
        let proposal = self
            .order(&self.agent, Method::POST, "/v1/proposals", body, |_| {
                vec!["proposal.submitted"]
            })
            .await
            .expect(201);
        let path = format!("/v1/proposals/{}/approve", id(&proposal));
        let body = json!({"actions_hash": proposal["actions_hash"]});
        self.order(&self.person, Method::POST, &path, body, |decided| {
            if decided["status"] == "applied" {
                vec![
                    "proposal.approved",
                    "note.created",
                    "note.revised",
                    "note.tagged",
                    "proposal.applied",
                ]
            } else {
                vec!["proposal.approved", "proposal.failed"]
            }
        })
        .await
        .expect(200);
    }

    /// Sends a command until it is answered.
    async fn order(
        &self,
        actor: &Client,
        method: Method,
        path: &str,
        body: Value,
        events: impl FnOnce(&Value) -> Vec<&'static str>,
    ) -> Answer {
        let order = Order {
            method,
            path: path.to_owned(),
            body,
            key: Uuid::new_v4().to_string(),
        };
        let answer = self.answer(actor, &order).await;
        let done = Done {
            actor: actor.clone(),
            events: events(&answer.body),
            order,
            answer: answer.clone(),
        };
        self.done.lock().unwrap().push(Arc::new(done));
        self.acknowledged.send_modify(|count| *count += 1);
        answer
    }

    async fn answer(&self, actor: &Client, order: &Order) -> Answer {
        let answered = async {
            loop {
                if let Some(answer) = self.attempt(actor, order).await {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, answered)
            .await
            .expect("the command is answered in time")
    }

    /// Sends a command once; none if the connection was lost, so that the effect is unknown, or if the response asks for a retry.
    async fn attempt(&self, actor: &Client, order: &Order) -> Option<Answer> {
        let server = {
            let servers = self.servers.lock().unwrap();
            servers[self.turn.fetch_add(1, Ordering::Relaxed) % servers.len()].clone()
        };
        let actor = actor.at(&server);
        let request = actor
            .request(order.method.clone(), &order.path)
            .header("Idempotency-Key", &order.key)
            .json(&order.body);
        let answer = actor.try_send(request).await.ok()?;
        let again = answer.status == 503
            || answer.status == 409 && answer.headers.contains_key("retry-after");
        (!again).then_some(answer)
    }

    /// Repeats every command with its key, and asserts that the response is the same.
    async fn repeat_everything(&self) {
        let done = self.done.lock().unwrap().clone();
        let repeated = futures::stream::iter(done).map(async |done| {
            let again = self.answer(&done.actor, &done.order).await;
            assert_eq!(again.status, done.answer.status, "{:#}", again.body);
            assert_eq!(again.body, done.answer.body);
            assert_eq!(again.position(), done.answer.position());
            assert_eq!(again.header("etag"), done.answer.header("etag"));
            assert_eq!(again.header("idempotency-replayed"), "true");
        });
        repeated.buffer_unordered(8).collect::<()>().await;
    }
}

/// Running workers.
pub struct Shift {
    crew: Arc<Crew>,
    hands: Vec<JoinHandle<()>>,
}

impl Shift {
    /// Stops the workers after their current commands.
    pub async fn rest(self) {
        self.crew.resting.send_replace(true);
        for hand in self.hands {
            hand.await.unwrap();
        }
    }
}

/// A receiver that has subscribed to all events of the crew.
pub struct Subscriber {
    receiver: Receiver,
    verifier: Webhook,
}

const SUBSCRIBED: [&str; 2] = ["note.*", "proposal.*"];

impl Subscriber {
    pub async fn subscribe(client: &Client) -> Self {
        let receiver = Receiver::start().await;
        let webhook = client
            .post(
                "/v1/webhooks",
                json!({"url": receiver.url, "events": SUBSCRIBED}),
            )
            .await
            .expect(201);
        Self {
            receiver,
            verifier: Webhook::new(webhook["secret"].as_str().unwrap()).unwrap(),
        }
    }

    /// Makes some of the next deliveries fail.
    pub fn stumble(&self) {
        let failure = || (500, vec![], "not now".to_owned());
        self.receiver
            .reply(std::iter::repeat_with(failure).take(10));
    }

    /// Waits until every event has arrived, and asserts that each is signed and equals the log's.
    async fn has_everything(&self, log: &Log) {
        let covered = |event: &Value| {
            let event_type = event["type"].as_str().unwrap();
            SUBSCRIBED.iter().any(|pattern| covers(pattern, event_type))
        };
        let by_id: HashMap<&str, &Value> = log
            .0
            .iter()
            .filter(|event| covered(event))
            .map(|event| (event["event_id"].as_str().unwrap(), event))
            .collect();
        assert!(!by_id.is_empty());
        let arrived = eventually(async || {
            let arrived = self.receiver.arrived();
            let ids: HashSet<&str> = arrived
                .iter()
                .map(|one| one.body["data"]["event_id"].as_str().unwrap())
                .collect();
            by_id
                .keys()
                .all(|id| ids.contains(id))
                .then(|| arrived.clone())
        })
        .await;
        for one in arrived {
            self.verifier
                .verify(one.raw.as_bytes(), &one.headers)
                .unwrap();
            let event_id = one.body["data"]["event_id"].as_str().unwrap();
            assert_eq!(one.header("webhook-id"), format!("msg_{event_id}"));
            assert_eq!(&one.body["data"], by_id[event_id]);
        }
    }
}

/// All events, in order.
pub struct Log(pub Vec<Value>);

impl Log {
    /// Reads all events, at least up to a position, from any node.
    pub async fn read(operator: &Client, position: i64) -> Self {
        let mut events = Vec::new();
        let mut after = Some(0);
        while let Some(start) = after {
            let path = format!("/v1/events?after={start}&limit=1000");
            let page = operator.get_at(&path, position).await.expect(200);
            events.extend(page["items"].as_array().unwrap().iter().cloned());
            after = page["next_cursor"]
                .as_str()
                .map(|cursor| cursor.parse().unwrap());
        }
        Self(events)
    }

    /// Asserts that positions count 1, 2, 3, …, and so do the versions of every stream, and that no event occurs twice.
    pub fn is_whole(&self) {
        let mut versions: HashMap<&str, i64> = HashMap::new();
        let mut ids = HashSet::new();
        for (event, position) in self.0.iter().zip(1..) {
            assert_eq!(event["position"], position);
            let version = versions
                .entry(event["stream"].as_str().unwrap())
                .or_default();
            *version += 1;
            assert_eq!(event["version"], *version, "{event:#}");
            assert!(
                ids.insert(event["event_id"].as_str().unwrap()),
                "{event:#} is there twice"
            );
        }
    }

    /// Asserts that each idempotency key of the crew has exactly the events of one command, and that no key is missing.
    fn has_each_command_once(&self, crew: &Crew) {
        let actors = [crew.person.actor_id, crew.agent.actor_id].map(|id| id.to_string());
        let mut by_key: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for event in &self.0 {
            let metadata = &event["metadata"];
            if actors
                .iter()
                .any(|actor| metadata["actor"]["id"] == **actor)
                && let Some(key) = metadata["command_key"].as_str()
            {
                by_key.entry(key).or_default().push(event);
            }
        }
        let done = crew.done.lock().unwrap();
        for done in done.iter() {
            let events = by_key.remove(done.order.key.as_str()).unwrap_or_default();
            let types: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
            assert_eq!(types, done.events, "{:#}", done.answer.body);
            assert_eq!(
                events.last().unwrap()["position"],
                done.answer.position(),
                "the answer holds for the last of its events"
            );
        }
        assert!(by_key.is_empty(), "nobody gave these orders: {by_key:#?}");
    }
}

/// Checks all invariants after the work, whatever happened to the servers.
pub async fn audit(app: &OwnApp, server: &str, crew: &Crew, subscriber: &Subscriber) {
    crew.repeat_everything().await;
    let operator = app.operator.at(server);
    let log = Log::read(&operator, crew.position()).await;
    log.is_whole();
    log.has_each_command_once(crew);
    subscriber.has_everything(&log).await;
    models_equal_their_rebuild(&app.database_url).await;
    // Deliveries have appended events meanwhile.
    Log::read(&operator, crew.position()).await.is_whole();
}

async fn models_equal_their_rebuild(database_url: &str) {
    let output = command(database_url, &[])
        .args(["projections", "diff", "all"])
        .output()
        .await
        .unwrap();
    let (said, complained) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.lines().count() > 1, "{said}");
    assert!(
        said.lines()
            .all(|line| line.ends_with("equal to the live one")),
        "{said}"
    );
}

/// Makes leases expire, as if their time had passed since a server was killed.
pub async fn lapse_leases(database_url: &str) {
    let (client, connection) = tokio_postgres::connect(database_url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("update log.jobs set leased_until = now() where leased_until > now()")
        .await
        .unwrap();
}
