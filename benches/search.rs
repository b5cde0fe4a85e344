//! Search on 100,000 notes of about a kilobyte each. Word frequencies follow natural language: the second word is half
//! as frequent as the first, the third a third as frequent.

use std::sync::Arc;
use std::time::Instant;

use domain::knowledge::note::NoteEvent;
use projections::knowledge::search::{Search, Wanted, search};
use projections::knowledge::workspace::Workspaces;
use projections::{Consumer, Projection, Runtime, Viewer};
use rand::RngExt;
use store::{Database, EventStore, Purpose};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Bench;
use crate::load::{self, Seen};
use crate::notes::{BATCH, Desk};
use crate::product::{Product, skip_to_head};
use crate::report::Row;

const NAME: &str = "search";
const NOTES: usize = 100_000;
const VOCABULARY: usize = 50_000;
const WORDS_OF_A_TITLE: usize = 4;
const WORDS_OF_A_BODY: usize = 170;
const TAGS: usize = 50;

type Ask = fn(&Words) -> String;

/// Queries by the frequency of their words; the first word is in nearly every note.
const ASKED: [(&str, Ask); 6] = [
    ("search_100k_rare", |words| words.between(20_000, 50_000)),
    ("search_100k_common", |words| words.between(0, 1)),
    ("search_100k_two", |words| {
        format!("{} {}", words.between(10, 1_000), words.between(10, 1_000))
    }),
    ("search_100k_prefix", |words| {
        words.between(1_000, 50_000)[..4].to_owned()
    }),
    ("search_100k_phrase", |words| {
        format!("\"{} {}\"", words.between(0, 20), words.between(0, 20))
    }),
    ("search_100k_typo", |words| {
        mistyped(&words.between(1_000, 20_000))
    }),
];

pub async fn rows(bench: &Bench) -> Vec<Row> {
    let names: Vec<&str> = ASKED.iter().map(|(name, _)| *name).collect();
    if !bench.wants("search_post") && !bench.wants_any(&names) {
        return vec![];
    }
    let product = bench.product(NAME).await;
    let words = Arc::new(Words::new());
    let desk = Desk::new();
    let mut rows = vec![post(bench, &product, &desk, &words).await];
    admit(&product.database, &desk).await;
    for (name, ask) in ASKED {
        if bench.wants(name) {
            let seen = ask_for(&product.database, &desk, &words, ask).await;
            rows.push(Row::of(name, "searches/s", &seen).under("one client; with facets"));
        }
    }
    bench.clear(NAME).await;
    rows
}

/// Writes the notes, and then applies them to the read model.
async fn post(bench: &Bench, product: &Product, desk: &Desk, words: &Words) -> Row {
    let mut head = 0;
    for _ in 0..NOTES / BATCH {
        let notes = (0..BATCH).map(|_| words.note(desk));
        head = product
            .store
            .append(desk.append_new(notes))
            .await
            .unwrap()
            .position;
    }
    let log: Arc<dyn EventStore> = product.store.clone();
    let mut runtime = Runtime::new(product.database.clone(), log);
    let readers = runtime.add(vec![Arc::new(Search::default())]);
    let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let started = Instant::now();
    runtime.start(&tasks, &shutdown);
    while readers.wait(Search::NAME, head).await.is_err() {}
    let took = started.elapsed();
    shutdown.cancel();
    tasks.close();
    tasks.wait().await;
    let client = bench.client(NAME).await;
    let settled = client.batch_execute("vacuum analyze");
    settled.await.unwrap();
    Row::new("search_post", "notes/s", NOTES as f64 / took.as_secs_f64())
        .under(format!("{NOTES} notes of a kilobyte, {VOCABULARY} words"))
}

/// Makes the author a member of the workspace.
async fn admit(database: &Database, desk: &Desk) {
    const WORKSPACE: &str = "
        insert into workspaces (id, product_id, version, created_at, created_by, updated_at, position, name, status, members)
        values ($1, $2, 1, now(), $3, now(), 1, 'bench', 'active', jsonb_build_object($3::uuid::text, 'owner'))";
    let workspaces = Projection::<Workspaces>::default();
    skip_to_head(database, &workspaces as &dyn Consumer).await;
    let client = database.session(Purpose::Queries).await.unwrap();
    let row: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [&desk.workspace_id, &desk.product_id, &desk.actor.id];
    client.execute(WORKSPACE, &row).await.unwrap();
}

async fn ask_for(database: &Database, desk: &Desk, words: &Arc<Words>, ask: Ask) -> Seen {
    let viewer = Viewer {
        product_id: Some(desk.product_id),
        actor_id: desk.actor.id,
    };
    let (database, words) = (database.clone(), words.clone());
    load::run(1, move |_| {
        let database = database.clone();
        let wanted = Wanted {
            text: ask(&words),
            ..Wanted::default()
        };
        async move {
            search(&database, viewer, &wanted).await.unwrap();
        }
    })
    .await
}

/// Generated words, the most frequent first.
struct Words {
    words: Vec<String>,
    /// Cumulative frequency of each word and those before it.
    sums: Vec<f64>,
}

impl Words {
    fn new() -> Self {
        let common = (1..=VOCABULARY).map(|rank| 1.0 / rank as f64);
        let sums = common.scan(0.0, |sum, share| {
            *sum += share;
            Some(*sum)
        });
        Self {
            words: (0..VOCABULARY).map(word).collect(),
            sums: sums.collect(),
        }
    }

    fn any(&self) -> &str {
        let share = rand::random_range(0.0..self.sums[VOCABULARY - 1]);
        &self.words[self.sums.partition_point(|sum| *sum < share)]
    }

    /// Returns a word whose rank is between two.
    fn between(&self, from: usize, to: usize) -> String {
        self.words[rand::random_range(from..to)].clone()
    }

    fn text(&self, count: usize) -> String {
        let words: Vec<&str> = (0..count).map(|_| self.any()).collect();
        words.join(" ")
    }

    fn note(&self, desk: &Desk) -> NoteEvent {
        NoteEvent::Created {
            workspace_id: desk.workspace_id,
            title: self.text(WORDS_OF_A_TITLE),
            body: self.text(WORDS_OF_A_BODY),
            tags: (0..rand::random_range(0..3))
                .map(|_| word(rand::random_range(0..TAGS)))
                .collect(),
            aliases: [].into(),
            file: None,
        }
    }
}

/// Returns the word of a rank: syllables derived from the number, scrambled so that words of similar frequency begin
/// differently.
fn word(rank: usize) -> String {
    const FIRST: &[u8] = b"bdfghjklmnprstvw";
    const SECOND: &[u8] = b"aeiou";
    let mut number = rank * 48_271 % 65_537 + rank / 65_537;
    let mut word = String::new();
    for _ in 0..2 + usize::from(rank > 500) {
        word.push(char::from(FIRST[number % FIRST.len()]));
        number /= FIRST.len();
        word.push(char::from(SECOND[number % SECOND.len()]));
        number /= SECOND.len();
    }
    format!("{word}{}", char::from(FIRST[number % FIRST.len()]))
}

/// Swaps two letters in the middle.
fn mistyped(word: &str) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let middle = rand::rng().random_range(2..letters.len() - 1);
    letters.swap(middle - 1, middle);
    letters.into_iter().collect()
}
