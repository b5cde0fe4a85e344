//! Commands on files. They also affect the product's storage, and the blobs that files with the same bytes share.

use async_trait::async_trait;
use blobs::picture::Square;
use blobs::{BlobError, Blobs, Received};
use domain::operations::blob::{Blob, BlobCommand, BlobKey, BlobRule};
use domain::operations::file::{Content, File, FileCommand, Rendition, Stored, Upload};
use domain::operations::storage::{Quota, Storage, StorageCommand};
use domain::{Aggregate, StreamId};
use uuid::Uuid;

use crate::{CommandError, Done, Executor, Handler, Request, UnitOfWork, sha256_hex};

/// Maximum number of times that bytes are written because they were dropped in between.
const ATTEMPTS: u32 = 8;

/// Requests a file; reserves storage for it.
#[derive(Clone)]
pub struct Ask {
    pub id: Uuid,
    pub upload: Upload,
    /// Maximum size in bytes of files in the container.
    pub max_size: u64,
    pub quota: Quota,
}

#[async_trait]
impl Handler for Ask {
    fn name(&self) -> String {
        "file.request".into()
    }

    fn context(&self) -> &'static str {
        File::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<File>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let request = FileCommand::Request {
            upload: self.upload.clone(),
            max_size: self.max_size,
        };
        work.decide::<File>(self.id, request).await?;
        let reserve = StorageCommand::Reserve {
            file_id: self.id,
            bytes: self.upload.size,
            quota: self.quota,
        };
        let product_id = work.request().product_id;
        work.decide::<Storage>(product_id, reserve).await?;
        Ok(())
    }
}

/// Expires or deletes a file. Releases its storage, and its bytes unless other files use them.
pub struct End {
    pub id: Uuid,
    pub command: FileCommand,
}

impl End {
    #[must_use]
    pub const fn delete(id: Uuid) -> Self {
        let command = FileCommand::Delete;
        Self { id, command }
    }

    #[must_use]
    pub const fn expire(id: Uuid) -> Self {
        let command = FileCommand::Expire;
        Self { id, command }
    }
}

#[async_trait]
impl Handler for End {
    fn name(&self) -> String {
        self.command.as_ref().to_owned()
    }

    fn context(&self) -> &'static str {
        File::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<File>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let product_id = work.request().product_id;
        let file = work.load::<File>(self.id).await?.state.clone();
        let events = work.decide::<File>(self.id, self.command.clone()).await?;
        let Some(upload) = file.upload().filter(|_| !events.is_empty()) else {
            return Ok(());
        };
        let release = StorageCommand::Release {
            file_id: self.id,
            bytes: upload.size,
        };
        work.decide::<Storage>(product_id, release).await?;
        let keys = file.stored().map(|stored| stored.blobs(product_id));
        for key in keys.into_iter().flatten() {
            let id = key.id();
            let release = BlobCommand::Release {
                key,
                file_id: self.id,
            };
            work.decide::<Blob>(id, release).await?;
        }
        Ok(())
    }
}

/// Records that the bytes of a file are stored.
pub(crate) struct Store {
    pub id: Uuid,
    pub size: u64,
    pub key: BlobKey,
}

#[async_trait]
impl Handler for Store {
    fn name(&self) -> String {
        "file.store".into()
    }

    fn context(&self) -> &'static str {
        File::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<File>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let content = Content {
            sha256: self.key.sha256.clone(),
            generation: self.key.generation,
        };
        let size = self.size;
        let store = FileCommand::Store { size, content };
        if work.decide::<File>(self.id, store).await?.is_empty() {
            return Ok(());
        }
        hold(work, self.id, self.key.clone()).await
    }
}

async fn hold(work: &mut UnitOfWork<'_>, file_id: Uuid, key: BlobKey) -> Result<(), CommandError> {
    let id = key.id();
    let hold = BlobCommand::Hold { key, file_id };
    work.decide::<Blob>(id, hold).await?;
    Ok(())
}

/// Records the renditions of a picture.
struct Resize {
    id: Uuid,
    stored: Stored,
    renditions: Vec<Rendition>,
}

#[async_trait]
impl Handler for Resize {
    fn name(&self) -> String {
        "file.resize".into()
    }

    fn context(&self) -> &'static str {
        File::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<File>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let renditions = self.renditions.clone();
        let resize = FileCommand::Resize { renditions };
        if work.decide::<File>(self.id, resize).await?.is_empty() {
            return Ok(());
        }
        let resized = Stored {
            renditions: self.renditions.clone(),
            ..self.stored.clone()
        };
        // The first blob is the picture itself, which the file already holds.
        for key in resized.blobs(work.request().product_id).split_off(1) {
            hold(work, self.id, key).await?;
        }
        Ok(())
    }
}

/// Reasons why bytes that have arrived cannot be stored as a file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The bytes cannot be stored.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The command that records the bytes failed.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl StoreError {
    /// Returns true if the bytes were dropped after they were written and before they were recorded.
    fn is_dropped(&self) -> bool {
        match self {
            Self::Command(error) => error.is_refusal(&BlobRule::Dropped),
            Self::Blob(_) => false,
        }
    }
}

/// Writes bytes to their object, unless they are there already, and records them.
#[derive(Clone, Copy)]
pub struct Keeper<'a> {
    pub executor: &'a Executor,
    pub blobs: &'a Blobs,
    pub request: &'a Request,
}

impl Keeper<'_> {
    /// Stores an upload as the requested file.
    pub async fn store(
        &self,
        id: Uuid,
        upload: &Upload,
        received: &Received,
    ) -> Result<Done, StoreError> {
        let size = received.size;
        self.keep(upload, received, |key| Store { id, size, key })
            .await
    }

    /// Writes the bytes and runs the command that records them; repeats this if the bytes were dropped in between.
    pub(crate) async fn keep<H: Handler>(
        &self,
        upload: &Upload,
        received: &Received,
        record: impl Fn(BlobKey) -> H,
    ) -> Result<Done, StoreError> {
        for _ in 1..ATTEMPTS {
            match self.try_keep(upload, received, &record).await {
                Err(error) if error.is_dropped() => {}
                result => return result,
            }
        }
        self.try_keep(upload, received, &record).await
    }

    async fn try_keep<H: Handler>(
        &self,
        upload: &Upload,
        received: &Received,
        record: impl Fn(BlobKey) -> H,
    ) -> Result<Done, StoreError> {
        let (key, is_there) = self.place(upload, &received.sha256).await?;
        if !is_there && !self.request.dry_run {
            self.blobs.keep(received, &key.to_string()).await?;
        }
        Ok(self.executor.execute(self.request, &record(key)).await?)
    }

    /// Stores the renditions of a picture. If bytes were dropped before they were recorded, the caller's retry writes
    /// them again.
    pub async fn resize(
        &self,
        id: Uuid,
        stored: &Stored,
        squares: &[Square],
    ) -> Result<Done, StoreError> {
        let mut renditions = vec![];
        for square in squares {
            renditions.push(self.write(&stored.upload, square).await?);
        }
        let stored = stored.clone();
        let resize = Resize {
            id,
            stored,
            renditions,
        };
        Ok(self.executor.execute(self.request, &resize).await?)
    }

    async fn write(&self, upload: &Upload, square: &Square) -> Result<Rendition, StoreError> {
        let sha256 = sha256_hex(&square.bytes);
        let (key, is_there) = self.place(upload, &sha256).await?;
        if !is_there {
            let bytes = square.bytes.clone();
            self.blobs.write(&key.to_string(), bytes).await?;
        }
        Ok(Rendition {
            pixels: square.pixels,
            media_type: square.media_type.into(),
            size: square.bytes.len() as u64,
            sha256,
            generation: key.generation,
        })
    }

    /// Returns the name of the object for the bytes, and true if they are already there: bytes that a file uses are.
    async fn place(&self, upload: &Upload, sha256: &str) -> Result<(BlobKey, bool), CommandError> {
        let mut key = BlobKey {
            product_id: self.request.product_id,
            container: upload.container,
            sha256: sha256.to_owned(),
            generation: 0,
        };
        let blob = self.executor.repository().latest::<Blob>(key.id()).await?;
        key.generation = blob.state.generation;
        Ok((key, !blob.state.files.is_empty()))
    }
}
