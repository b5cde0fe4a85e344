//! Values for property tests: any possible value, but mostly few different ones, so that events affect the same
//! subjects; the smallest and largest values are included.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use chrono::{DateTime, NaiveDate, Utc};
use hex::encode as hex;
use proptest::collection::vec;
use proptest::option::of as maybe;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::StreamId;

/// A type with a strategy. Declared by [`events!`](crate::events) and [`generate!`](crate::generate).
pub trait Generate: Debug + Sized + 'static {
    /// Returns the strategy of some of the type's values. Collections and options pass `values` on to their items.
    fn generate(values: Values) -> BoxedStrategy<Self>;

    /// Returns a strategy for each variant of an enum.
    fn variants() -> Vec<BoxedStrategy<Self>> {
        vec![any_of()]
    }
}

/// The values that a field takes in tests, if it is declared with `as`.
#[derive(Debug, Clone, Copy)]
pub enum Values {
    Any,
    /// Short texts, such as those that commands limit because indexes hold them.
    Short,
    /// Pieces of Markdown, up to a few thousand words.
    Markdown,
    /// The numbers 0 to 2, and the largest.
    Few,
}

/// Returns the strategy of all values of a type.
pub fn any_of<T: Generate>() -> BoxedStrategy<T> {
    T::generate(Values::Any)
}

/// Implements [`Generate`](crate::testing::Generate) for a struct, given the names of its fields, or for an enum, given
/// its variants. A field may be restricted to some values: `rank as Short`. Expands to nothing outside of tests.
#[macro_export]
macro_rules! generate {
    (struct $name:ident { $($fields:tt)* }) => {
        impl $crate::testing::Generate for $name {
            fn generate(_: $crate::testing::Values) -> $crate::testing::BoxedStrategy<Self> {
                $crate::generate!(@build ($name) $($fields)*)
            }
        }
    };
    (enum $name:ident { $($variant:ident $({ $($fields:tt)* })?),* $(,)? }) => {
        impl $crate::testing::Generate for $name {
            fn generate(_: $crate::testing::Values) -> $crate::testing::BoxedStrategy<Self> {
                // Does not compile if a variant is left out.
                let _ = |value: &Self| match value { $(Self::$variant { .. } => {})* };
                $crate::testing::one_of(<Self as $crate::testing::Generate>::variants())
            }

            fn variants() -> Vec<$crate::testing::BoxedStrategy<Self>> {
                vec![$($crate::generate!(@build ($name::$variant) $($($fields)*)?)),*]
            }
        }
    };
    (@build ($($path:tt)*) $($field:ident $(as $values:ident)?),* $(,)?) => {
        $crate::testing::Strategy::boxed($crate::testing::Strategy::prop_map(
            $crate::generate!(@strategies $($field $(as $values)?,)*),
            |$crate::generate!(@pattern $($field)*)| $($path)* { $($field),* },
        ))
    };
    (@strategies) => { $crate::testing::Just(()) };
    (@strategies $field:ident, $($rest:tt)*) => { $crate::generate!(@strategies $field as Any, $($rest)*) };
    (@strategies $field:ident as $values:ident, $($rest:tt)*) => {
        (
            $crate::testing::Generate::generate($crate::testing::Values::$values),
            $crate::generate!(@strategies $($rest)*),
        )
    };
    (@pattern) => { () };
    (@pattern $field:ident $($rest:ident)*) => { ($field, $crate::generate!(@pattern $($rest)*)) };
}

/// Returns the strategy that takes each of the others equally often.
pub fn one_of<T: Debug + 'static>(variants: Vec<BoxedStrategy<T>>) -> BoxedStrategy<T> {
    prop::strategy::Union::new(variants).boxed()
}

impl Generate for String {
    fn generate(values: Values) -> BoxedStrategy<Self> {
        match values {
            Values::Any | Values::Few => text().boxed(),
            Values::Short => word().boxed(),
            Values::Markdown => markdown().boxed(),
        }
    }
}

fn word() -> impl Strategy<Value = String> {
    let characters = |count| vec(any::<char>(), count).prop_map(String::from_iter);
    prop_oneof![
        4 => "[a-c]{0,2}",
        3 => characters(0..20),
        1 => characters(64..65),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        7 => word(),
        1 => any::<u64>().prop_map(long),
    ]
}

/// Returns a text too long for a row of an index, and incompressible.
fn long(seed: u64) -> String {
    let part = |n: u64| hex(Sha256::digest([seed, n].map(u64::to_le_bytes).concat()));
    (0..50).map(part).collect()
}

fn markdown() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "[[a]]",
        "[[b#c|a]]",
        "[[c/a#^b]]",
        "![[a.png|100]]",
        "[a](../b.md#c)",
        "[[1]](https://example.com)",
        "\n- [ ] a @2030-01-31 #b\n",
        "\r\n  - [x] c<br>b\r\n",
        "\n# a\n",
        "\n```\n[[b]]\n",
        "| a \\| b |",
        "---\na: b\n---\n",
        "#a/b",
        "'a':1A & !b <-> (c)",
        ":x",
        "👩\u{200d}💻",
        "葛\u{e0100}",
        "ﷺ",
        "İıß",
        "\u{202e}\u{2028}\u{85}",
    ]);
    let words = |seeds: Vec<u64>| seeds.into_iter().map(long).collect::<String>();
    prop_oneof![
        2 => text(),
        4 => vec(pieces, 0..30).prop_map(|pieces| pieces.join(" ")),
        1 => vec(any::<u64>(), 1..8).prop_map(move |seeds| words(seeds).replace('0', " ")),
    ]
}

macro_rules! integers {
    ($($type:ident)*) => {$(
        impl Generate for $type {
            fn generate(values: Values) -> BoxedStrategy<Self> {
                match values {
                    Values::Few => prop_oneof![3 => 0..3 as Self, 1 => Just(Self::MAX)].boxed(),
                    Values::Any | Values::Short | Values::Markdown => {
                        prop_oneof![2 => any::<Self>(), 1 => Just(Self::MIN), 1 => Just(Self::MAX)].boxed()
                    }
                }
            }
        }
    )*};
}

integers! { u8 u16 u32 i16 i32 i64 }

impl Generate for u64 {
    /// Returns mostly numbers that a payload may have.
    fn generate(_: Values) -> BoxedStrategy<Self> {
        let largest = i64::MAX.unsigned_abs();
        prop_oneof![3 => 0..=largest, 2 => Just(0), 2 => Just(largest), 1 => any::<Self>()].boxed()
    }
}

impl Generate for usize {
    fn generate(values: Values) -> BoxedStrategy<Self> {
        let number = u64::generate(values);
        number.prop_map(|number| number.try_into().unwrap()).boxed()
    }
}

impl Generate for f64 {
    fn generate(_: Values) -> BoxedStrategy<Self> {
        const EXTREMES: &[f64] = &[f64::MIN_POSITIVE, f64::MIN, f64::MAX];
        prop_oneof![0.0..=1.0, prop::sample::select(EXTREMES)].boxed()
    }
}

impl Generate for bool {
    fn generate(_: Values) -> BoxedStrategy<Self> {
        any::<Self>().boxed()
    }
}

impl Generate for Uuid {
    fn generate(_: Values) -> BoxedStrategy<Self> {
        (0..4u128).prop_map(Self::from_u128).boxed()
    }
}

impl Generate for StreamId {
    fn generate(_: Values) -> BoxedStrategy<Self> {
        any_of().prop_map(|id| Self::new("artifact", id)).boxed()
    }
}

impl Generate for DateTime<Utc> {
    /// Returns times in microseconds, as clocks return them, in the years 1 to 9999, as requests allow.
    fn generate(_: Values) -> BoxedStrategy<Self> {
        let at = |text| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
        prop_oneof![
            8 => any::<i32>().prop_map(|seconds| Self::from_timestamp(i64::from(seconds), 1_000).unwrap()),
            1 => Just(at("0001-01-01T00:00:00Z")),
            1 => Just(at("9999-12-31T23:59:59.999999Z")),
        ]
        .boxed()
    }
}

impl Generate for NaiveDate {
    fn generate(_: Values) -> BoxedStrategy<Self> {
        prop_oneof![
            8 => (0..20_000).prop_map(|days| Self::from_epoch_days(days).unwrap()),
            1 => Just(Self::default()),
            1 => Just(Self::from_ymd_opt(9999, 12, 31).unwrap()),
        ]
        .boxed()
    }
}

impl<T: Generate> Generate for Option<T> {
    fn generate(values: Values) -> BoxedStrategy<Self> {
        maybe(T::generate(values)).boxed()
    }
}

impl<T: Generate> Generate for Box<T> {
    fn generate(values: Values) -> BoxedStrategy<Self> {
        T::generate(values).prop_map(Self::new).boxed()
    }
}

impl<T: Generate> Generate for Vec<T> {
    fn generate(values: Values) -> BoxedStrategy<Self> {
        vec(T::generate(values), 0..3).boxed()
    }
}

impl<T: Generate + Ord> Generate for BTreeSet<T> {
    /// Returns sets of short texts, because indexes hold them: tags, scopes, labels.
    fn generate(_: Values) -> BoxedStrategy<Self> {
        let item = || T::generate(Values::Short);
        prop_oneof![15 => vec(item(), 0..4), 1 => vec(item(), 32..64)]
            .prop_map(Self::from_iter)
            .boxed()
    }
}

impl<K: Generate + Ord, V: Generate> Generate for BTreeMap<K, V> {
    fn generate(values: Values) -> BoxedStrategy<Self> {
        vec((K::generate(values), V::generate(values)), 0..3)
            .prop_map(Self::from_iter)
            .boxed()
    }
}
