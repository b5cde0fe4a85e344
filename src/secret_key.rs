//! The root secret of a node: from the configuration, or from a file that the first start creates.

use std::path::Path;
use std::{fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use commands::Secrets;
use store::{Database, Purpose};

use crate::config::Config;
use crate::private_file::Draft;

const FILE: &str = "secret.key";

/// The reasons why there is no usable root secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretKeyError {
    /// The file cannot be read or created.
    #[error("cannot use {path}: {source}")]
    File { path: String, source: io::Error },
    /// The file does not contain a valid key.
    #[error("{0} does not hold 32 bytes in base64; restore it from a backup")]
    Damaged(String),
    /// The database was set up with a key that is missing here.
    #[error(
        "the secret key of this database is missing: restore {0} from a backup, or set DAYBOOK_SECRET_KEY to the key of the other nodes"
    )]
    Lost(String),
    /// Other nodes of this database use another key.
    #[error(
        "this node's secret key is not the one that this database was set up with; \
         give all nodes the same DAYBOOK_SECRET_KEY (or the same secret.key in their data directories)"
    )]
    Mismatch,
    /// The database cannot be queried.
    #[error("cannot compare the secret key with the database: {0}")]
    Database(String),
}

/// Decodes 32 bytes from base64 text.
pub fn decode(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text.trim()).ok()?.try_into().ok()
}

/// Loads the root secret and checks it against the one that the database was set up with.
pub async fn load(config: &Config, database: &Database) -> Result<Secrets, SecretKeyError> {
    let configured = config.secret_key.as_deref().and_then(decode);
    let root = match configured {
        Some(root) => root,
        None => from_file(&config.data_dir, is_set_up(database).await?)?,
    };
    let secrets = Secrets::new(root);
    check(database, &secrets.fingerprint()).await?;
    Ok(secrets)
}

/// Reads the key from its file. Only the first start creates it: a new key could not decrypt data sealed with the old one.
fn from_file(data_dir: &Path, set_up: bool) -> Result<[u8; 32], SecretKeyError> {
    let path = data_dir.join(FILE);
    let fault = |source| SecretKeyError::File {
        path: path.display().to_string(),
        source,
    };
    if !path.exists() {
        if set_up {
            return Err(SecretKeyError::Lost(path.display().to_string()));
        }
        make(&path).map_err(fault)?;
    }
    let text = fs::read_to_string(&path).map_err(fault)?;
    decode(&text).ok_or_else(|| SecretKeyError::Damaged(path.display().to_string()))
}

/// Creates the key atomically: two concurrent first starts end up with one complete key.
fn make(path: &Path) -> io::Result<()> {
    let root: [u8; 32] = rand::random();
    let text = format!("{}\n", STANDARD.encode(root));
    Draft::write(path, &text)?.publish().map(drop)
}

async fn is_set_up(database: &Database) -> Result<bool, SecretKeyError> {
    const SET_UP: &str =
        "select exists (select from log.settings where name = 'secret_key_fingerprint')";
    let client = database
        .session(Purpose::Queries)
        .await
        .map_err(|e| fault(&e))?;
    let row = client.query_one(SET_UP, &[]).await.map_err(|e| fault(&e))?;
    Ok(row.get(0))
}

fn fault(error: &(dyn std::error::Error + 'static)) -> SecretKeyError {
    SecretKeyError::Database(store::describe(error))
}

async fn check(database: &Database, fingerprint: &str) -> Result<(), SecretKeyError> {
    const AGREE: &str = "
        with mine as (
            insert into log.settings (name, value) values ('secret_key_fingerprint', $1)
            on conflict (name) do nothing returning value
        )
        select value from mine
        union all
        select value from log.settings where name = 'secret_key_fingerprint'";
    let client = database
        .session(Purpose::Queries)
        .await
        .map_err(|e| fault(&e))?;
    let row = client
        .query_one(AGREE, &[&fingerprint])
        .await
        .map_err(|e| fault(&e))?;
    if row.get::<_, &str>(0) == fingerprint {
        Ok(())
    } else {
        Err(SecretKeyError::Mismatch)
    }
}
