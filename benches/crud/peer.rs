//! What serde derives for the same documents. Texts that stand for something are read by the parsers that Ziggurat uses.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, de::DeserializeOwned};
use ziggurat::crud::Decimal;

/// A document with an id alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alone {
    #[serde(rename = "id")]
    pub(crate) _id: i64,
}

/// A document with an id and sixteen fields of one type.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound = "T: DeserializeOwned")]
pub(crate) struct Sixteen<T> {
    #[serde(rename = "id")]
    _id: i64,
    #[serde(rename = "field_0")]
    _0: T,
    #[serde(rename = "field_1")]
    _1: T,
    #[serde(rename = "field_2")]
    _2: T,
    #[serde(rename = "field_3")]
    _3: T,
    #[serde(rename = "field_4")]
    _4: T,
    #[serde(rename = "field_5")]
    _5: T,
    #[serde(rename = "field_6")]
    _6: T,
    #[serde(rename = "field_7")]
    _7: T,
    #[serde(rename = "field_8")]
    _8: T,
    #[serde(rename = "field_9")]
    _9: T,
    #[serde(rename = "field_10")]
    _10: T,
    #[serde(rename = "field_11")]
    _11: T,
    #[serde(rename = "field_12")]
    _12: T,
    #[serde(rename = "field_13")]
    _13: T,
    #[serde(rename = "field_14")]
    _14: T,
    #[serde(rename = "field_15")]
    _15: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    New,
    Paid,
    Sent,
    Done,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Address {
    #[serde(rename = "street")]
    _street: String,
    #[serde(rename = "city")]
    _city: String,
}

pub(crate) type Dict = HashMap<String, i64>;

/// What a text stands for.
pub(crate) trait Parse: Sized {
    fn parse(text: &str) -> Option<Self>;
}

impl Parse for uuid::Uuid {
    fn parse(text: &str) -> Option<Self> {
        Self::parse_str(text).ok()
    }
}

impl Parse for speedate::DateTime {
    fn parse(text: &str) -> Option<Self> {
        Self::parse_str(text).ok()
    }
}

impl Parse for speedate::Date {
    fn parse(text: &str) -> Option<Self> {
        Self::parse_str(text).ok()
    }
}

impl Parse for Decimal {
    fn parse(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

/// A text that is parsed where it stands, without a copy.
pub(crate) struct Parsed<T> {
    _value: T,
}

impl<'de, T: Parse> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<T>(PhantomData<T>);
        impl<T: Parse> Visitor<'_> for Text<T> {
            type Value = Parsed<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Parsed<T>, E> {
                T::parse(text).map(|value| Parsed { _value: value }).ok_or_else(|| E::custom("does not parse"))
            }
        }
        deserializer.deserialize_str(Text(PhantomData))
    }
}
