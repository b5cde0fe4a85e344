//! Sources of settings: flags, variables and a file.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

use super::ConfigError;

/// Variables that other parts of the program read.
const OTHER_VARIABLES: [&str; 4] = ["postgres_bin", "server", "key", "config"];

/// A setting that was looked up.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub name: String,
    /// Text and its source, if any source provides it.
    pub found: Option<(String, String)>,
}

/// Settings by name, and the faults of those taken so far.
pub(super) struct Sources {
    pub flags: BTreeMap<String, String>,
    pub variables: BTreeMap<String, String>,
    pub file: BTreeMap<String, String>,
    pub problems: Vec<String>,
    pub given: Vec<Given>,
}

impl Sources {
    /// Returns the value of a setting, if a source provides a valid one; records an invalid one as a fault.
    pub fn take<T: FromStr>(&mut self, name: &str, expects: &str) -> Option<T> {
        let from_file = self
            .file
            .remove(name)
            .map(|text| (text, format!("{name} in the configuration file")));
        let from_variable = self
            .variables
            .remove(name)
            .map(|text| (text, variable(name)));
        let from_flag = self
            .flags
            .remove(name)
            .map(|text| (text, format!("--{}", name.replace('_', "-"))));
        let found = from_flag.or(from_variable).or(from_file);
        self.given.push(Given {
            name: name.to_owned(),
            found: found.clone(),
        });
        let (text, source) = found?;
        let value = text.trim().parse().ok();
        if value.is_none() {
            self.problems.push(format!("{source} expects {expects}"));
        }
        value
    }

    /// Returns every setting that was taken, or all faults.
    pub fn finish(mut self) -> Result<Vec<Given>, ConfigError> {
        let unknown = self
            .variables
            .keys()
            .filter(|name| !OTHER_VARIABLES.contains(&name.as_str()))
            .map(|name| format!("{} is not a setting", variable(name)));
        self.problems.extend(unknown);
        let unknown = self
            .file
            .keys()
            .map(|name| format!("{name} in the configuration file is not a setting"));
        self.problems.extend(unknown);
        if self.problems.is_empty() {
            Ok(self.given)
        } else {
            Err(ConfigError(self.problems))
        }
    }
}

/// Returns the variable of a setting.
pub(super) fn variable(name: &str) -> String {
    match name {
        "database_url" => "DATABASE_URL".into(),
        other => format!("DAYBOOK_{}", other.to_uppercase()),
    }
}

/// Reads a TOML file into flat names: `allow_private` in `[webhooks]` becomes `webhooks_allow_private`.
pub(super) fn read_file(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let fault = |error: &dyn Display| ConfigError(vec![format!("{}: {error}", path.display())]);
    let text = std::fs::read_to_string(path).map_err(|error| fault(&error))?;
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| fault(&error))?;
    let mut flat = BTreeMap::new();
    flatten("", &table, &mut flat);
    Ok(flat)
}

fn flatten(prefix: &str, table: &toml::Table, flat: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let name = format!("{prefix}{name}");
        match value {
            toml::Value::Table(inner) => flatten(&format!("{name}_"), inner, flat),
            toml::Value::String(text) => {
                flat.insert(name, text.clone());
            }
            plain @ (toml::Value::Integer(_)
            | toml::Value::Float(_)
            | toml::Value::Boolean(_)
            | toml::Value::Datetime(_)
            | toml::Value::Array(_)) => {
                flat.insert(name, plain.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_have_tables() {
        let mut flat = BTreeMap::new();
        let table = "listen = 'a'\n[webhooks]\nallow_private = true\n"
            .parse()
            .unwrap();
        flatten("", &table, &mut flat);
        let expected = [("listen", "a"), ("webhooks_allow_private", "true")];
        let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(flat, expected.into());
    }
}
