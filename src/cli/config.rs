//! `daybook config check`: the settings as they are, where each comes from, and what is wrong with them.

use std::error::Error;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use store::PrivatePostgres;

use crate::config::{Config, ConfigError};
use crate::output::print;

/// Shows every setting; fails with what the machine lacks for them.
pub fn check(config: &Config) -> Result<(), Box<dyn Error>> {
    let faults = faults(config);
    if !faults.is_empty() {
        return Err(ConfigError(faults).into());
    }
    for setting in config.settings() {
        print(&format!(
            "{:<32} {:<40} {}",
            setting.variable, setting.value, setting.source
        ))?;
    }
    Ok(print("the configuration is fine")?)
}

/// Names directories that cannot be written to, and programs that are not there.
fn faults(config: &Config) -> Vec<String> {
    let mut directories = Vec::new();
    if config.database_url.is_none() || config.secret_key.is_none() {
        directories.push(("DAYBOOK_DATA_DIR", config.data_dir.clone()));
    }
    if let Some(parent) = config.operator_key_file.parent() {
        directories.push(("DAYBOOK_OPERATOR_KEY_FILE", parent.to_owned()));
    }
    if !config.files.place.url.contains("://") {
        directories.push(("DAYBOOK_FILES_URL", PathBuf::from(&config.files.place.url)));
    }
    let mut faults: Vec<String> = directories
        .iter()
        .filter_map(|(variable, directory)| {
            let error = writable(directory).err()?;
            Some(format!(
                "{variable}: cannot write to {}: {error}; make it writable, or name another one",
                directory.display()
            ))
        })
        .collect();
    if config.database_url.is_none()
        && let Err(error) = PrivatePostgres::find_programs(&config.data_dir)
    {
        faults.push(error.to_string());
    }
    faults
}

/// An error if the directory, or the one that it would be made in, takes no files.
fn writable(directory: &Path) -> std::io::Result<()> {
    let existing = directory
        .ancestors()
        .map(|path| {
            if path.as_os_str().is_empty() {
                Path::new(".")
            } else {
                path
            }
        })
        .find(|path| path.exists())
        .unwrap_or(directory);
    if !existing.is_dir() {
        return Err(std::io::ErrorKind::NotADirectory.into());
    }
    Ok(access(existing, Access::WRITE_OK | Access::EXEC_OK)?)
}
