//! The bytes of files: in a folder, in S3 or in Azure. They are hashed as they arrive, and can be read from any offset.

mod colors;
mod error;
mod leftovers;
mod open;
mod receive;

pub mod picture;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload};

use tokio::sync::Mutex;

pub use error::BlobError;
pub use open::{OpenError, Place, Secret};
pub use receive::{ReceiveError, Received};

/// Timeout of a health check.
const PING: Duration = Duration::from_secs(3);
/// Time for which the result of a health check is cached.
const FRESH: Duration = Duration::from_secs(5);
/// Prefix of the bytes of unfinished uploads.
pub const ARRIVING: &str = "arriving";

/// The store of the bytes of files.
#[derive(Clone, Debug)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// Path of a local folder; none for a remote store.
    root: Option<PathBuf>,
    place: Arc<str>,
    health: Arc<Mutex<Option<Health>>>,
}

/// The last result of a health check, and its time.
type Health = (Instant, Result<(), BlobError>);

/// A stored object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub name: String,
    pub size: u64,
    pub modified_at: DateTime<Utc>,
}

/// A stream of bytes being read.
pub type Bytestream = BoxStream<'static, Result<Bytes, BlobError>>;

impl Blobs {
    /// Checks that the store responds. The result is cached for a moment, so that frequent calls do not burden a remote
    /// store.
    pub async fn health(&self) -> Result<(), BlobError> {
        let mut health = self.health.lock().await;
        match &*health {
            Some((at, said)) if at.elapsed() < FRESH => said.clone(),
            Some(_) | None => {
                let said = self.ping().await;
                *health = Some((Instant::now(), said.clone()));
                said
            }
        }
    }

    async fn ping(&self) -> Result<(), BlobError> {
        let asked = async {
            match &self.root {
                Some(root) => {
                    let found = tokio::fs::metadata(root).await;
                    found.map(drop).map_err(|error| BlobError::io(&error))
                }
                None => {
                    let first = self.store.list(None).next().await;
                    first.transpose().map(drop).map_err(BlobError::from)
                }
            }
        };
        tokio::time::timeout(PING, asked)
            .await
            .unwrap_or_else(|_| Err(BlobError::Unavailable("no answer".into())))
            .map_err(|error| error.at(&self.place))
    }

    /// Writes an object; replaces one of the same name.
    pub async fn write(&self, name: &str, bytes: Bytes) -> Result<(), BlobError> {
        let payload = PutPayload::from_bytes(bytes);
        self.store.put(&Path::from(name), payload).await?;
        Ok(())
    }

    /// Reads an object, or a part of it.
    pub async fn read(
        &self,
        name: &str,
        range: Option<Range<u64>>,
    ) -> Result<Bytestream, BlobError> {
        let options = GetOptions {
            range: range.map(Into::into),
            ..GetOptions::default()
        };
        let found = self.store.get_opts(&Path::from(name), options).await?;
        Ok(found.into_stream().map_err(BlobError::from).boxed())
    }

    /// Reads an object into memory.
    pub async fn read_all(&self, name: &str) -> Result<Bytes, BlobError> {
        let found = self.store.get(&Path::from(name)).await?;
        Ok(found.bytes().await?)
    }

    /// Deletes an object, if it exists.
    pub async fn delete(&self, name: &str) -> Result<(), BlobError> {
        match self.store.delete(&Path::from(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Lists the objects whose names come after the given one, or all, in order of their names.
    pub fn list(&self, after: Option<&str>) -> BoxStream<'static, Result<Object, BlobError>> {
        let found = match after {
            Some(after) => self.store.list_with_offset(None, &Path::from(after)),
            None => self.store.list(None),
        };
        let found = match &self.root {
            Some(_) => sorted(found),
            None => found,
        };
        found
            .map_ok(|meta| Object {
                name: meta.location.to_string(),
                size: meta.size,
                modified_at: meta.last_modified,
            })
            .map_err(BlobError::from)
            .boxed()
    }
}

/// Sorts the listing of a folder, which has no order.
fn sorted(
    found: BoxStream<'static, object_store::Result<ObjectMeta>>,
) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
    let all = async {
        let mut all: Vec<ObjectMeta> = found.try_collect().await?;
        all.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        Ok::<_, object_store::Error>(stream::iter(all.into_iter().map(Ok)))
    };
    stream::once(all).try_flatten().boxed()
}
