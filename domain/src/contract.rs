//! Event contracts: the type name, the version, and how the payload is written and read.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[cfg(any(test, feature = "testing"))]
use crate::testing::Generate;

/// Reasons why a recorded payload cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// No contract of this aggregate has the event type.
    #[error("no contract for event type {0:?}")]
    UnknownType(String),
    /// A newer build of Daybook wrote the event.
    #[error("{event_type} has contract version {found}, but this build knows {known}; upgrade it")]
    Newer {
        event_type: &'static str,
        found: u16,
        known: u16,
    },
    /// The payload does not have the contract's fields.
    #[error("{event_type} version {version} cannot be read: {source}")]
    Payload {
        event_type: &'static str,
        version: u16,
        source: serde_json::Error,
    },
}

/// Converts a payload of the given version to the next version.
pub type Upcaster = fn(u16, Value) -> Value;

/// Stands in for the strategy of tests, which other builds do not have.
#[cfg(not(any(test, feature = "testing")))]
pub trait Generate {}

#[cfg(not(any(test, feature = "testing")))]
impl<T> Generate for T {}

/// Expands to nothing: strategies are for tests.
#[cfg(not(any(test, feature = "testing")))]
#[macro_export]
macro_rules! generate {
    ($($declaration:tt)*) => {};
}

/// The events of one aggregate as the log stores them. Declared by [`events!`](crate::events).
pub trait EventContract:
    Generate + Serialize + Clone + std::fmt::Debug + PartialEq + Send + Sync + 'static
{
    /// Type names with their current versions.
    const TYPES: &'static [(&'static str, u16)];
    /// Descriptions of the types, one sentence each, in the same order.
    const MEANINGS: &'static [&'static str];
    fn event_type(&self) -> &'static str;
    fn version(&self) -> u16;
    /// Reads a payload of any released version.
    fn decode(event_type: &str, version: u16, data: &str) -> Result<Self, ContractError>;
}

/// Parses a payload, after upcasting it if an older build wrote it.
pub fn parse<T: DeserializeOwned>(
    event_type: &'static str,
    known: u16,
    found: u16,
    data: &str,
    upcast: Option<Upcaster>,
) -> Result<T, ContractError> {
    if found > known {
        return Err(ContractError::Newer {
            event_type,
            found,
            known,
        });
    }
    match upcast {
        Some(upcast) if found < known => serde_json::from_str(data)
            .map(|value| (found..known).fold(value, |value, version| upcast(version, value)))
            .and_then(serde_json::from_value),
        Some(_) | None => serde_json::from_str(data),
    }
    .map_err(|source| ContractError::Payload {
        event_type,
        version: found,
        source,
    })
}

/// Declares the events of an aggregate: `Variant("type.name", version) { fields }`, optionally with an upcaster of
/// older payloads as a third argument. Property tests generate events with any values; `field: Type as Short` restricts a
/// field to `testing::Values` such as those that an index holds.
#[macro_export]
macro_rules! events {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $(
                $(#[doc = $meaning:literal])*
                $variant:ident($type:literal, $version:literal $(, $upcast:path)?) {
                    $( $(#[$field_meta:meta])* $field:ident: $field_type:ty $(as $values:ident)? ),* $(,)?
                }
            ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        #[serde(untagged)]
        $vis enum $name {
            $(
                $(#[doc = $meaning])*
                $variant { $( $(#[$field_meta])* $field: $field_type ),* }
            ),*
        }

        $crate::generate! {
            enum $name { $( $variant { $( $field $(as $values)? ),* } ),* }
        }

        impl $crate::EventContract for $name {
            const TYPES: &'static [(&'static str, u16)] = &[$(($type, $version)),*];
            const MEANINGS: &'static [&'static str] = &[$(concat!($($meaning),*)),*];

            fn event_type(&self) -> &'static str {
                match self {
                    $( Self::$variant { .. } => $type ),*
                }
            }

            fn version(&self) -> u16 {
                match self {
                    $( Self::$variant { .. } => $version ),*
                }
            }

            fn decode(event_type: &str, version: u16, data: &str) -> Result<Self, $crate::ContractError> {
                match event_type {
                    $(
                        $type => {
                            #[derive(serde::Deserialize)]
                            struct Payload { $( $(#[$field_meta])* $field: $field_type ),* }
                            let upcast: Option<$crate::Upcaster> = None $( .or(Some($upcast)) )?;
                            let Payload { $($field),* } =
                                $crate::parse_payload($type, $version, version, data, upcast)?;
                            Ok(Self::$variant { $($field),* })
                        }
                    )*
                    other => Err($crate::ContractError::UnknownType(other.to_owned())),
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn lift_named(from: u16, mut data: Value) -> Value {
        match from {
            1 => json!({"name": data["title"].take()}),
            _ => {
                data["loud"] = json!(false);
                data
            }
        }
    }

    crate::events! {
        enum Event {
            Named("thing.named", 3, lift_named) { name: String, loud: bool },
            Gone("thing.gone", 1) {},
        }
    }

    #[test]
    fn a_payload_of_every_older_version_is_lifted_step_by_step() {
        let named = |loud| Event::Named {
            name: "a".into(),
            loud,
        };
        for (version, data) in [(1, r#"{"title":"a"}"#), (2, r#"{"name":"a"}"#)] {
            assert_eq!(
                Event::decode("thing.named", version, data).unwrap(),
                named(false)
            );
        }
        let current = Event::decode("thing.named", 3, r#"{"name":"a","loud":true}"#).unwrap();
        assert_eq!(current, named(true));
    }

    #[test]
    fn a_payload_of_a_newer_build_is_an_error() {
        let error = Event::decode("thing.gone", 2, "{}").unwrap_err();
        assert!(matches!(error, ContractError::Newer { found: 2, .. }));
    }

    #[test]
    fn an_event_without_fields_is_an_empty_object() {
        assert_eq!(serde_json::to_string(&Event::Gone {}).unwrap(), "{}");
        assert_eq!(
            Event::decode("thing.gone", 1, "{}").unwrap(),
            Event::Gone {}
        );
    }
}
