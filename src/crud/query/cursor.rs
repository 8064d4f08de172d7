//! Cursors: where a page ended, as text that any node can read.
//!
//! base64url of a version byte, a hash of filter and sort, and the boundary values as a JSON array. A cursor holds no
//! authority: the filter is sent again with it, and its values are typed again.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::value::RawValue;

use super::Sort;
use crate::crud::schema::{Bounds, Number, Schema, Text, Type, validate};
use crate::crud::{Value, json};

const VERSION: u8 = 1;
/// Where the JSON begins.
const HEAD: usize = 9;
/// A boundary is as long as the values that rows are sorted by, but not every length is worth decoding.
const LONGEST: usize = 64 * 1024;

/// The text of the cursor after `boundary`.
pub(super) fn encode(hash: u64, boundary: &[Value<'static>]) -> String {
    let mut bytes = Vec::with_capacity(96);
    bytes.push(VERSION);
    bytes.extend_from_slice(&hash.to_le_bytes());
    bytes.push(b'[');
    for (index, value) in boundary.iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        json::write_scalar(&mut bytes, value);
    }
    bytes.push(b']');
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The boundary in `text`; the error says what to do.
pub(super) fn decode(
    text: &str,
    hash: u64,
    schema: &Schema,
    sort: &[Sort],
) -> Result<Vec<Value<'static>>, &'static str> {
    const UNREADABLE: &str = "cannot be read; send the `next` of a page as it came";
    if text.len() > LONGEST {
        return Err(UNREADABLE);
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| UNREADABLE)?;
    if bytes.len() < HEAD || bytes[0] != VERSION {
        return Err(UNREADABLE);
    }
    if bytes[1..HEAD] != hash.to_le_bytes() {
        return Err("belongs to another filter or sort; begin again without a cursor");
    }
    let parts: Vec<&RawValue> = serde_json::from_slice(&bytes[HEAD..]).map_err(|_| UNREADABLE)?;
    if parts.len() != sort.len() {
        return Err(UNREADABLE);
    }
    let value = |(part, key): (&&RawValue, &Sort)| {
        let kind = boundary_type(&schema.fields[key.field].kind);
        validate::value(&kind, part.get().as_bytes()).map(Value::into_owned).map_err(|_| UNREADABLE)
    };
    parts.iter().zip(sort).map(value).collect()
}

/// The type of a stored value: rows may be older than today's rules.
fn boundary_type(kind: &Type) -> Type {
    let (inner, nullable) = kind.inner();
    let bare = match inner {
        Type::Int(_) | Type::IntText(_) => Type::Int(Bounds::default()),
        Type::Float(_) => Type::Float(Bounds::default()),
        Type::Str(_) => Type::Str(Text::default()),
        Type::Date(_) => Type::Date(Bounds::default()),
        Type::Midnight(_) => Type::Midnight(Bounds::default()),
        Type::Time(_) => Type::Time(Bounds::default()),
        Type::Duration(_) => Type::Duration(Bounds::default()),
        Type::Decimal(_) => Type::Decimal(Number::default()),
        other => other.clone(),
    };
    if nullable { Type::Optional(Box::new(bare)) } else { bare }
}

/// FNV-1a: short, and the same on every machine and in every version.
pub(super) struct Hash(u64);

impl Hash {
    pub(super) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Takes in a text and its end, so that `ab` and `a`, `b` differ.
    pub(super) fn text(&mut self, text: &str) {
        for byte in text.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(super) const fn finish(&self) -> u64 {
        self.0
    }
}
