//! Opens a store: a folder, a bucket of S3, or a container of Azure.

use std::path::{Path as Folder, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore, RetryConfig};

use crate::Blobs;

/// Retries of a failed request: their number, and the total time.
const RETRIES: usize = 3;
const RETRY_FOR: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(3);

/// The address and credentials of a store. Absent values are taken from the usual variables: `AWS_*`, `AZURE_*`.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// `s3://bucket/prefix`, `az://container/prefix`, or a folder.
    pub url: String,
    /// Address of a store that is not the provider's own.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// Id of the access key for S3; name of the account for Azure.
    pub account: Option<String>,
    /// The secret of the account.
    pub secret: Option<Secret>,
}

/// A secret that is never printed.
#[derive(Clone)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// Reasons why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be created or read.
    #[error("the folder of files {folder} cannot be used: {source}")]
    Folder {
        folder: String,
        source: std::io::Error,
    },
    /// The text is not the address of a store.
    #[error("{0} is neither s3://bucket, nor az://container, nor a folder")]
    Scheme(String),
    /// A setting is missing or inconsistent.
    #[error("{0}")]
    Settings(#[from] object_store::Error),
}

enum Kind<'a> {
    Folder(&'a str),
    S3 { bucket: &'a str, prefix: &'a str },
    Azure { container: &'a str, prefix: &'a str },
}

impl Place {
    fn kind(&self) -> Result<Kind<'_>, OpenError> {
        let Some((scheme, rest)) = self.url.split_once("://") else {
            return Ok(Kind::Folder(&self.url));
        };
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        match scheme {
            "file" => Ok(Kind::Folder(rest)),
            "s3" if !name.is_empty() => Ok(Kind::S3 {
                bucket: name,
                prefix,
            }),
            "az" if !name.is_empty() => Ok(Kind::Azure {
                container: name,
                prefix,
            }),
            _ => Err(OpenError::Scheme(self.url.clone())),
        }
    }

    /// Checks that the settings are consistent, without contacting the store.
    pub fn check(&self) -> Result<(), OpenError> {
        match self.kind()? {
            Kind::Folder(_) => Ok(()),
            Kind::S3 { bucket, .. } => self.s3(bucket).map(drop),
            Kind::Azure { container, .. } => self.azure(container).map(drop),
        }
    }

    fn client(&self) -> ClientOptions {
        let plain = self.endpoint.as_deref().unwrap_or_default();
        ClientOptions::new()
            .with_allow_http(plain.starts_with("http://"))
            .with_connect_timeout(CONNECT)
            // A long download has no timeout, because its reader may be slow.
            .with_timeout_disabled()
    }

    fn s3(&self, bucket: &str) -> Result<Arc<dyn ObjectStore>, OpenError> {
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_client_options(self.client())
            .with_retry(retry());
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        if let (Some(id), Some(Secret(secret))) = (&self.account, &self.secret) {
            builder = builder
                .with_access_key_id(id)
                .with_secret_access_key(secret);
        }
        Ok(Arc::new(builder.build()?))
    }

    fn azure(&self, container: &str) -> Result<Arc<dyn ObjectStore>, OpenError> {
        let mut builder = MicrosoftAzureBuilder::from_env()
            .with_container_name(container)
            .with_client_options(self.client())
            .with_retry(retry());
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        if let Some(account) = &self.account {
            builder = builder.with_account(account);
        }
        if let Some(Secret(secret)) = &self.secret {
            builder = builder.with_access_key(secret);
        }
        Ok(Arc::new(builder.build()?))
    }
}

fn retry() -> RetryConfig {
    RetryConfig {
        max_retries: RETRIES,
        retry_timeout: RETRY_FOR,
        ..RetryConfig::default()
    }
}

fn below(prefix: &str, store: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
    match prefix.trim_matches('/') {
        "" => store,
        prefix => Arc::new(PrefixStore::new(store, prefix)),
    }
}

impl Blobs {
    /// Opens the store; creates a local folder. Does not contact a remote store.
    pub fn open(place: &Place) -> Result<Self, OpenError> {
        let (store, root): (Arc<dyn ObjectStore>, Option<PathBuf>) = match place.kind()? {
            Kind::Folder(path) => {
                let (store, root) = folder(Folder::new(path))?;
                (Arc::new(store), Some(root))
            }
            Kind::S3 { bucket, prefix } => (below(prefix, place.s3(bucket)?), None),
            Kind::Azure { container, prefix } => (below(prefix, place.azure(container)?), None),
        };
        Ok(Self {
            store,
            root,
            place: place.url.as_str().into(),
            health: Arc::default(),
        })
    }
}

fn folder(path: &Folder) -> Result<(LocalFileSystem, PathBuf), OpenError> {
    let fault = |source| OpenError::Folder {
        folder: path.display().to_string(),
        source,
    };
    std::fs::create_dir_all(path).map_err(fault)?;
    let root = path.canonicalize().map_err(fault)?;
    // Objects reported as stored must survive a power cut.
    let store = LocalFileSystem::new_with_prefix(&root)?.with_fsync(true);
    Ok((store, root))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Place {
        Place {
            url: url.into(),
            account: Some("somebody".into()),
            secret: Some(Secret("aHVzaA==".into())),
            ..Place::default()
        }
    }

    #[test]
    fn a_place_is_a_folder_a_bucket_or_a_container() {
        // The program does the same when it starts.
        let _ = rustls::crypto::ring::default_provider().install_default();
        for good in [
            "data/files",
            "/srv/files",
            "file:///srv/files",
            "s3://bucket",
            "s3://bucket/below/it",
            "az://container/below",
        ] {
            assert!(place(good).check().is_ok(), "{good}");
        }
        for bad in ["s3://", "az:///x", "ftp://host/x", "https://host/bucket"] {
            let error = place(bad).check().unwrap_err().to_string();
            assert!(error.starts_with(bad), "{error}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert!(!format!("{:?}", place("s3://bucket")).contains("aHVz"));
    }
}
