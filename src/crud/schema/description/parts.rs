//! What a description holds, as it is written.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SchemaDescription {
    pub(super) name: String,
    /// What models within it that are the same are told by.
    #[serde(rename = "ref")]
    pub(super) reference: Option<String>,
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) unknown: UnknownDescription,
    pub(super) fields: Vec<FieldDescription>,
    /// The texts whose words are looked for by a search.
    #[serde(default)]
    pub(super) search: Vec<String>,
    /// Fields of which no two rows hold the same values together.
    #[serde(default)]
    pub(super) unique: Vec<Vec<String>>,
    /// The field by which MongoDB spreads rows over shards.
    pub(super) shard_key: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub(super) enum UnknownDescription {
    #[default]
    Forbid,
    Ignore,
    Allow,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldDescription {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: TypeDescription,
    pub(super) default: Option<DefaultDescription>,
    pub(super) index: Option<IndexDescription>,
    #[serde(default)]
    pub(super) access: AccessDescription,
    #[serde(default)]
    pub(super) renew: bool,
    #[serde(default)]
    pub(super) deletion: bool,
    /// The model whose ids it holds.
    #[serde(rename = "ref")]
    pub(super) reference: Option<String>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum AccessDescription {
    #[default]
    ReadWrite,
    ReadOnly,
    Immutable,
    WriteOnly,
    Hidden,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IndexDescription {
    #[serde(default)]
    pub(super) unique: bool,
    #[serde(default)]
    pub(super) case_insensitive: bool,
    #[serde(default)]
    pub(super) sparse: bool,
    /// In seconds.
    pub(super) ttl: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum DefaultDescription {
    Value(serde_json::Value),
    Factory(Factory),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Factory {
    Uuid4,
    Uuid7,
    ObjectId,
    Now,
    Claim(String),
    /// Of so many bytes.
    Token(usize),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum TypeDescription {
    Bool {},
    Int {
        gt: Option<i64>,
        ge: Option<i64>,
        lt: Option<i64>,
        le: Option<i64>,
        multiple_of: Option<i64>,
        /// It stands in a string.
        #[serde(default)]
        text: bool,
    },
    Float {
        gt: Option<f64>,
        ge: Option<f64>,
        lt: Option<f64>,
        le: Option<f64>,
        multiple_of: Option<f64>,
    },
    Str {
        min_length: Option<usize>,
        max_length: Option<usize>,
        pattern: Option<String>,
        #[serde(default)]
        strip: bool,
        #[serde(default)]
        lower: bool,
        #[serde(default)]
        upper: bool,
    },
    Uuid {
        stored: Option<LegacyDescription>,
    },
    ObjectId {},
    Datetime {
        /// To the microsecond.
        #[serde(default)]
        micro: bool,
        naive: Option<NaiveDescription>,
    },
    Date {
        gt: Option<String>,
        ge: Option<String>,
        lt: Option<String>,
        le: Option<String>,
        stored: Option<StoredDescription>,
    },
    Time {
        gt: Option<String>,
        ge: Option<String>,
        lt: Option<String>,
        le: Option<String>,
    },
    /// Bounds in microseconds.
    Timedelta {
        gt: Option<i64>,
        ge: Option<i64>,
        lt: Option<i64>,
        le: Option<i64>,
    },
    /// Bounds as texts.
    Decimal {
        gt: Option<String>,
        ge: Option<String>,
        lt: Option<String>,
        le: Option<String>,
        multiple_of: Option<String>,
        max_digits: Option<usize>,
        decimal_places: Option<usize>,
    },
    Enum {
        values: Vec<Choice>,
        /// It is an `IntEnum`.
        #[serde(default)]
        int: bool,
    },
    Literal {
        values: Vec<Choice>,
    },
    Optional {
        of: Box<TypeDescription>,
    },
    List {
        items: Box<TypeDescription>,
        #[serde(default)]
        sort: SortDescription,
        min_length: Option<usize>,
        max_length: Option<usize>,
    },
    /// A tuple with a type for each of its items.
    Fixed {
        items: Vec<TypeDescription>,
    },
    Model {
        schema: Box<SchemaDescription>,
    },
    /// A model that it stands in itself.
    Back {
        #[serde(rename = "ref")]
        reference: String,
    },
    Dict {
        values: Box<TypeDescription>,
        min_length: Option<usize>,
        max_length: Option<usize>,
    },
    Bytes {
        #[serde(default)]
        form: FormDescription,
        min_length: Option<usize>,
        max_length: Option<usize>,
    },
    Union {
        of: Vec<TypeDescription>,
    },
    Tagged {
        tag: String,
        models: Vec<VariantDescription>,
    },
    Any {},
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VariantDescription {
    pub(super) tags: Vec<Choice>,
    /// A `model` or a `back`.
    pub(super) model: TypeDescription,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum StoredDescription {
    Datetime,
}

/// Named as the drivers' `uuidRepresentation`.
#[derive(Deserialize)]
pub(super) enum LegacyDescription {
    #[serde(rename = "pythonLegacy")]
    Python,
    #[serde(rename = "javaLegacy")]
    Java,
    #[serde(rename = "csharpLegacy")]
    Csharp,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum NaiveDescription {
    Utc,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FormDescription {
    #[default]
    Base64url,
    Base64,
    Utf8,
    Hex,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SortDescription {
    #[default]
    List,
    Set,
    Frozenset,
    Tuple,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Choice {
    Bool(bool),
    Int(i64),
    Str(String),
}
