//! Uploads: hashed as they arrive, in little memory whatever their size.

use std::fmt::Display;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use object_store::path::Path;
use object_store::{ObjectStoreExt, WriteMultipart};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::{ARRIVING, BlobError, Blobs};

/// Maximum size of an upload kept in memory; most uploads are one request to the store. Also the minimum part size of
/// S3.
const PART: usize = 5 << 20;
/// Minimum speed in bytes per second after an initial time; slower uploads hold resources for too long.
const SLOWEST: u64 = 8 << 10;
/// Number of idle times that an upload has before its speed counts.
const PAUSES: u32 = 4;
/// Number of parts of one upload that are in flight to the store.
const PARTS: usize = 2;

/// Reasons why an upload failed.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The upload is too long.
    #[error("there are more than {0} bytes")]
    TooLong(u64),
    /// No bytes arrived for too long.
    #[error("nothing came for {} s", .0.as_secs())]
    Stalled(Duration),
    /// The upload was too slow, although bytes kept arriving.
    #[error("fewer than {0} bytes came a second; send it over a quicker connection")]
    Slow(u64),
    /// The sender closed the connection.
    #[error("the bytes did not arrive whole: {0}")]
    Broken(String),
    /// The store does not accept the bytes.
    #[error(transparent)]
    Store(#[from] BlobError),
}

/// A complete upload that is not stored under its name yet.
#[derive(Debug)]
pub struct Received {
    /// SHA-256 in hex.
    pub sha256: String,
    pub size: u64,
    bytes: Arrived,
}

#[derive(Debug)]
enum Arrived {
    InMemory(Bytes),
    /// The name of an object.
    InStore(String),
    /// The bytes were inspected and not kept.
    Nowhere,
}

/// Incoming bytes, which are counted and hashed.
struct Incoming<S> {
    bytes: S,
    size: u64,
    limit: u64,
    idle: Duration,
    deadline: Instant,
    hash: Sha256,
}

impl<S, E> Incoming<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Display,
{
    async fn next(&mut self) -> Result<Option<Bytes>, ReceiveError> {
        let silence = Instant::now() + self.idle;
        let next = timeout_at(silence.min(self.deadline), self.bytes.next());
        let late = |_| match silence < self.deadline {
            true => ReceiveError::Stalled(self.idle),
            false => ReceiveError::Slow(SLOWEST),
        };
        let Some(bytes) = next.await.map_err(late)? else {
            return Ok(None);
        };
        let bytes = bytes.map_err(|error| ReceiveError::Broken(error.to_string()))?;
        self.size += bytes.len() as u64;
        if self.size > self.limit {
            return Err(ReceiveError::TooLong(self.limit));
        }
        self.hash.update(&bytes);
        Ok(Some(bytes))
    }

    fn received(self, bytes: Arrived) -> Received {
        Received {
            sha256: hex::encode(self.hash.finalize()),
            size: self.size,
            bytes,
        }
    }
}

impl Blobs {
    /// Receives an upload of at most `limit` bytes, with no pause longer than `idle`. A failed upload leaves nothing
    /// behind.
    pub async fn receive<E: Display>(
        &self,
        bytes: impl Stream<Item = Result<Bytes, E>> + Unpin,
        limit: u64,
        idle: Duration,
    ) -> Result<Received, ReceiveError> {
        let mut incoming = incoming(bytes, limit, idle);
        let mut first = BytesMut::new();
        while let Some(bytes) = incoming.next().await? {
            first.extend_from_slice(&bytes);
            if first.len() >= PART {
                let name = format!("{ARRIVING}/{}", Uuid::now_v7());
                self.stream(&name, first.freeze(), &mut incoming).await?;
                return Ok(incoming.received(Arrived::InStore(name)));
            }
        }
        Ok(incoming.received(Arrived::InMemory(first.freeze())))
    }

    /// Inspects an upload without keeping its bytes.
    pub async fn inspect<E: Display>(
        bytes: impl Stream<Item = Result<Bytes, E>> + Unpin,
        limit: u64,
        idle: Duration,
    ) -> Result<Received, ReceiveError> {
        let mut incoming = incoming(bytes, limit, idle);
        while incoming.next().await?.is_some() {}
        Ok(incoming.received(Arrived::Nowhere))
    }

    /// Writes an object part by part.
    async fn stream<S, E>(
        &self,
        name: &str,
        first: Bytes,
        incoming: &mut Incoming<S>,
    ) -> Result<(), ReceiveError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: Display,
    {
        let upload = self.store.put_multipart(&Path::from(name)).await;
        let mut upload =
            WriteMultipart::new_with_chunk_size(upload.map_err(BlobError::from)?, PART);
        let written = async {
            upload.put(first);
            while let Some(bytes) = incoming.next().await? {
                upload
                    .wait_for_capacity(PARTS)
                    .await
                    .map_err(BlobError::from)?;
                upload.put(bytes);
            }
            Ok(())
        };
        match written.await {
            Ok(()) => {
                upload.finish().await.map_err(BlobError::from)?;
                Ok(())
            }
            Err(error) => {
                // The sweep, or the bucket's own rule, deletes what is left.
                let _ = upload.abort().await;
                Err(error)
            }
        }
    }

    /// Stores a received upload under a name.
    pub async fn keep(&self, received: &Received, name: &str) -> Result<(), BlobError> {
        match &received.bytes {
            Arrived::InMemory(bytes) => self.write(name, bytes.clone()).await,
            Arrived::InStore(arrived) => {
                let (from, to) = (Path::from(arrived.as_str()), Path::from(name));
                Ok(self.store.copy(&from, &to).await?)
            }
            Arrived::Nowhere => Ok(()),
        }
    }

    /// Deletes the temporary object of an upload that is stored or not wanted.
    pub async fn forget(&self, received: &Received) {
        if let Arrived::InStore(name) = &received.bytes
            && let Err(error) = self.delete(name).await
        {
            tracing::warn!(%error, name, "left to the sweep");
        }
    }
}

fn incoming<S>(bytes: S, limit: u64, idle: Duration) -> Incoming<S> {
    Incoming {
        bytes,
        size: 0,
        limit,
        idle,
        deadline: Instant::now() + idle * PAUSES + Duration::from_secs(limit / SLOWEST),
        hash: Sha256::new(),
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use futures::stream::{self, iter, pending};

    use super::*;
    use crate::Place;

    const IDLE: Duration = Duration::from_secs(5);

    fn open(directory: &tempfile::TempDir) -> Blobs {
        let url = directory.path().display().to_string();
        let place = Place {
            url,
            ..Place::default()
        };
        Blobs::open(&place).unwrap()
    }

    /// Returns this many bytes, in pieces.
    fn some(size: usize) -> impl Stream<Item = Result<Bytes, String>> + Unpin {
        let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        let pieces: Vec<_> = bytes.chunks(60_000).map(Bytes::copy_from_slice).collect();
        iter(pieces.into_iter().map(Ok))
    }

    async fn names(blobs: &Blobs) -> Vec<String> {
        let objects: Vec<_> = blobs.list(None).try_collect().await.unwrap();
        objects.into_iter().map(|object| object.name).collect()
    }

    #[tokio::test]
    async fn what_arrives_is_hashed_and_kept_whatever_its_size() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = open(&directory);
        for size in [0, 1, PART - 1, PART, PART + 1, 3 * PART + 7] {
            let received = blobs.receive(some(size), 1 << 30, IDLE).await.unwrap();
            assert_eq!(received.size, size as u64);
            blobs.keep(&received, "a/b").await.unwrap();
            blobs.forget(&received).await;
            let kept = blobs.read_all("a/b").await.unwrap();
            assert_eq!(
                hex::encode(Sha256::digest(&kept)),
                received.sha256,
                "{size}"
            );
            assert_eq!(kept.len(), size);
            assert_eq!(names(&blobs).await, ["a/b"]);
        }
    }

    #[tokio::test]
    async fn what_is_too_long_or_breaks_off_or_stalls_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = open(&directory);
        for size in [10, 2 * PART] {
            let limit = size as u64 - 1;
            let result = blobs.receive(some(size), limit, IDLE).await;
            assert!(matches!(result, Err(ReceiveError::TooLong(_))));
            let broken = some(size).chain(iter([Err("gone".to_owned())]));
            let result = blobs.receive(broken, 1 << 30, IDLE).await;
            assert!(matches!(result, Err(ReceiveError::Broken(_))));
            let stalled = some(size).chain(pending());
            let result = blobs
                .receive(stalled, 1 << 30, Duration::from_millis(50))
                .await;
            assert!(matches!(result, Err(ReceiveError::Stalled(_))));
        }
        assert_eq!(names(&blobs).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn what_trickles_in_is_too_slow() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = open(&directory);
        let trickle =
            stream::repeat_with(|| Ok::<_, String>(Bytes::from_static(b"t"))).then(async |byte| {
                tokio::time::sleep(Duration::from_millis(10)).await;
                byte
            });
        let idle = Duration::from_millis(50);
        let result = blobs.receive(Box::pin(trickle), SLOWEST - 1, idle).await;
        assert!(matches!(result, Err(ReceiveError::Slow(_))));
    }

    #[tokio::test]
    async fn a_part_is_read_from_anywhere() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = open(&directory);
        blobs
            .write("a", Bytes::from_static(b"0123456789"))
            .await
            .unwrap();
        let part = blobs.read("a", Some(3..6)).await.unwrap();
        let part: Vec<Bytes> = part.try_collect().await.unwrap();
        assert_eq!(part.concat(), b"345");
        let absent = blobs.read("b", None).await.err();
        assert!(matches!(absent, Some(BlobError::Absent(_))));
    }

    #[tokio::test]
    async fn a_look_says_what_came_and_keeps_none_of_it() {
        let one = stream::once(std::future::ready(Ok::<_, String>(Bytes::from_static(
            b"tea",
        ))));
        let seen = Blobs::inspect(one, 3, IDLE).await.unwrap();
        assert_eq!(seen.sha256, hex::encode(Sha256::digest("tea")));
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_does_not_answer() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = open(&directory);
        assert_eq!(blobs.ping().await, Ok(()));
        directory.close().unwrap();
        let error = blobs.ping().await.unwrap_err();
        assert!(matches!(error, BlobError::Unavailable(_)));
    }
}
