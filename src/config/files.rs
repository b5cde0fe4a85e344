//! Settings for files: their storage and their limits.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use blobs::{Place, Secret};
use domain::operations::container::{Container, MaxSizes};
use domain::operations::storage::Quota;

use super::sources::Sources;
use super::values::Seconds;

/// The storage of files, and its limits.
#[derive(Debug, Clone)]
pub struct Files {
    /// Storage location; an empty URL means the folder `files` in the data directory.
    pub place: Place,
    /// Quota of each product.
    pub quota: Quota,
    pub max_sizes: MaxSizes,
    /// Lifetime of a signed URL.
    pub url_ttl: Duration,
    /// Time between two sweeps.
    pub sweep_interval: Duration,
    /// Minimum age at which a sweep removes unreferenced bytes.
    pub sweep_grace: Duration,
}

/// A number of bytes, such as `512`, `20MiB` or `5GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bytes(u64);

impl FromStr for Bytes {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
        let (number, shift) = units
            .iter()
            .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))
            .unwrap_or((text, 0));
        let number: u64 = number.trim().parse().map_err(|_| ())?;
        let bytes = number.checked_mul(1 << shift).ok_or(())?;
        // Read models cannot store larger numbers.
        i64::try_from(bytes).map(|_| Self(bytes)).map_err(|_| ())
    }
}

/// Maximum sizes by container, such as `audio=1GiB,backups=10GiB`.
struct Sizes(MaxSizes);

impl FromStr for Sizes {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let one = |text: &str| {
            let (container, Bytes(bytes)) = {
                let (container, bytes) = text.split_once('=').ok_or(())?;
                (container, bytes.trim().parse()?)
            };
            let container: Container = container.trim().parse().map_err(|_| ())?;
            Ok((container, bytes))
        };
        let sizes: Result<BTreeMap<_, _>, ()> = text.split(',').map(one).collect();
        Ok(Self(MaxSizes(sizes?)))
    }
}

impl Files {
    pub(super) fn take(sources: &mut Sources) -> Self {
        let place = Place {
            url: sources
                .take(
                    "files_url",
                    "s3://bucket/prefix, az://container/prefix, or a folder",
                )
                .unwrap_or_default(),
            endpoint: sources.take("files_endpoint", "an address such as https://s3.example"),
            region: sources.take("files_region", "the name of a region"),
            account: sources.take("files_account", "the id of an access key, or an account"),
            secret: sources
                .take(
                    "files_secret",
                    "the secret that belongs to DAYBOOK_FILES_ACCOUNT",
                )
                .map(Secret),
        };
        if let Err(error) = place.check() {
            sources.problems.push(format!(
                "DAYBOOK_FILES_URL expects s3://bucket/prefix, az://container/prefix, or a folder, and what is needed to get in: {error}"
            ));
        }
        const BYTES: &str = "a number of bytes such as 512, 20MiB or 5GiB";
        const SECONDS: &str = "a number of seconds, at least 1";
        let bytes = sources.take("files_quota_bytes", BYTES);
        let files = sources.take("files_quota_count", "a number of files");
        let max_sizes = sources.take(
            "files_max_sizes",
            "sizes by container, such as audio=1GiB,backups=10GiB",
        );
        let mut seconds = |name, default| {
            let seconds = sources.take(name, SECONDS);
            seconds.map_or(Duration::from_secs(default), |Seconds(seconds)| seconds)
        };
        Self {
            place,
            quota: Quota {
                bytes: bytes.map_or(10 << 30, |Bytes(bytes)| bytes),
                files: files.unwrap_or(100_000),
            },
            max_sizes: max_sizes.map(|Sizes(sizes)| sizes).unwrap_or_default(),
            url_ttl: seconds("files_url_ttl", 900),
            sweep_interval: seconds("files_sweep_interval", 86_400),
            sweep_grace: seconds("files_sweep_grace", 86_400),
        }
    }

    /// Sets the default storage location below the data directory.
    pub(super) fn below(mut self, data_dir: &Path) -> Self {
        if self.place.url.is_empty() {
            self.place.url = data_dir.join("files").display().to_string();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        let read = |text: &str| text.parse::<Bytes>().ok().map(|Bytes(bytes)| bytes);
        assert_eq!(read("512"), Some(512));
        assert_eq!(read("20MiB"), Some(20 << 20));
        assert_eq!(read("5 GiB"), Some(5 << 30));
        for bad in [
            "",
            "MiB",
            "-1",
            "1.5GiB",
            "9999999TiB",
            "18446744073709551615",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_are_by_container() {
        let read = |text: &str| text.parse::<Sizes>().ok().map(|Sizes(sizes)| sizes);
        let sizes = read("audio=1GiB, backups=7").unwrap();
        assert_eq!(sizes.of(Container::Audio), 1 << 30);
        assert_eq!(sizes.of(Container::Backups), 7);
        assert_eq!(sizes.of(Container::Avatars), Container::Avatars.max_size());
        for bad in ["", "audio", "cellar=1", "audio=much"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
