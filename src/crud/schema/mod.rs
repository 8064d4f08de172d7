//! The compiled form of a typed model.

mod access;
mod change;
pub(crate) mod check;
mod context;
mod description;
mod lax;
mod nested;
mod object;
mod read;
mod skip;
mod smart;
pub(crate) mod suggest;
mod together;
mod union;
pub(crate) mod validate;

use std::borrow::Cow;
use std::sync::Arc;

pub use access::Access;
pub use nested::Nested;
pub(crate) use union::Named;
pub use union::{Tagged, Union, Variant};

use super::{Decimal, Value};
use crate::ConfigError;

/// A typed model: what a document may hold. Pure data, built once at start-up.
#[derive(Debug, Clone)]
pub struct Schema {
    /// The model's name: `User`.
    pub name: String,
    /// Its fields in the order in which they were declared and are answered.
    pub fields: Vec<Field>,
    /// Index of the field that identifies a row. Nested models have none.
    pub id: Option<usize>,
    /// What to do with fields that the model does not have.
    pub unknown: Unknown,
}

/// A field of a model.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its name in JSON.
    pub name: Arc<str>,
    /// What it holds.
    pub kind: Type,
    /// What it holds when it is left out; none when it is required.
    pub default: Option<DefaultValue>,
    /// Whether an index is kept, and of which sort.
    pub index: Option<Index>,
    /// What clients may do with it.
    pub access: Access,
    /// Whether each write of the row makes its default anew.
    pub renewed: bool,
    /// Whether it holds when the row was deleted.
    pub deletion: bool,
    /// The name of the model whose rows it holds the id or the ids of.
    pub reference: Option<Arc<str>>,
    /// Whether its words are looked for by a search.
    pub searched: bool,
    /// Whether MongoDB spreads rows over shards by it.
    pub(crate) shard_key: bool,
    /// Of which fields no two rows hold the same values; it is the last of them.
    together: Vec<Box<[Box<str>]>>,
    /// The name as it begins a member of a JSON object.
    key: Box<[u8]>,
}

impl Field {
    /// A required field without an index.
    pub fn new(name: impl Into<Arc<str>>, kind: Type) -> Self {
        let name = name.into();
        let mut key = Vec::with_capacity(name.len() + 3);
        super::json::write_str(&mut key, &name);
        key.push(b':');
        Self {
            name,
            kind,
            default: None,
            index: None,
            access: Access::ReadWrite,
            renewed: false,
            deletion: false,
            reference: None,
            searched: false,
            shard_key: false,
            together: Vec::new(),
            key: key.into(),
        }
    }

    /// What it holds when it is left out.
    #[must_use]
    pub fn default(mut self, default: DefaultValue) -> Self {
        self.default = Some(default);
        self
    }

    /// Keeps an index over it.
    #[must_use]
    pub fn index(mut self, index: Index) -> Self {
        self.index = Some(index);
        self
    }

    /// Says what clients may do with it.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Each write of the row makes its default anew.
    #[must_use]
    pub fn renewed(mut self) -> Self {
        self.renewed = true;
        self
    }

    /// It holds when the row was deleted: rows are marked instead of being removed.
    #[must_use]
    pub fn deletion(mut self) -> Self {
        self.deletion = true;
        self
    }

    /// It holds the id of a row of the model called so, or a list of them: clients may ask for the rows in their place.
    #[must_use]
    pub fn refers_to(mut self, model: impl Into<Arc<str>>) -> Self {
        self.reference = Some(model.into());
        self
    }

    /// Its words are looked for by a search.
    #[must_use]
    pub fn searched(mut self) -> Self {
        self.searched = true;
        self
    }

    /// `"name":`, escaped, as it begins a member of a JSON object.
    pub fn key(&self) -> &[u8] {
        &self.key
    }
}

/// A value for a field that was left out.
#[derive(Debug, Clone)]
pub enum DefaultValue {
    /// Always the same.
    Constant(Value<'static>),
    /// A new UUIDv4.
    Uuid4,
    /// A new UUIDv7.
    Uuid7,
    /// A new ObjectId.
    ObjectId,
    /// The time of the request.
    Now,
    /// What the caller's token says, as `sub`, or with dots what is inside of a claim. Where it says nothing that fits, the field is null or, where
    /// it cannot be, missing.
    Claim(Box<str>),
    /// A text that nobody guesses: base64 of so many random bytes, of the alphabet that is safe in URLs.
    Token(usize),
}

#[cfg(feature = "mongodb")]
impl DefaultValue {
    /// Whether each row has one of its own.
    pub(crate) const fn is_unique(&self) -> bool {
        matches!(self, Self::Uuid4 | Self::Uuid7 | Self::ObjectId | Self::Token(_))
    }
}

/// An index over one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Index {
    /// No two rows may hold the same value; nulls do not count.
    pub unique: bool,
    /// Of texts that are unique: small and capital letters are the same.
    pub case_insensitive: bool,
    /// Rows that hold a null are not in it.
    pub sparse: bool,
    /// Of a datetime: so many seconds after it, a row is removed.
    pub ttl: Option<u32>,
}

impl Index {
    /// One that no two rows hold the same value of.
    pub const UNIQUE: Self = Self { unique: true, case_insensitive: false, sparse: false, ttl: None };
}

/// What happens to fields that a model does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// They are violations.
    Forbid,
    /// They are left out.
    Ignore,
    /// They are kept as they are: whatever JSON holds, under names that no field has and MongoDB can hold.
    Allow,
}

/// What a field holds.
#[derive(Debug, Clone)]
pub enum Type {
    /// `bool`
    Bool,
    /// `int`, 64 bits.
    Int(Bounds<i64>),
    /// `int` that stands in a string in JSON, since JavaScript holds only 53 bits of a number; read from a number, too.
    IntText(Bounds<i64>),
    /// `float`, finite.
    Float(Bounds<f64>),
    /// `str`
    Str(Text),
    /// `UUID`
    Uuid,
    /// The same, which MongoDB keeps as drivers of this language did before there was a BSON subtype for it: in subtype 3.
    LegacyUuid(LegacyUuid),
    /// An `ObjectId` of MongoDB: a text of 24 hexadecimal digits, which MongoDB keeps as such.
    ObjectId,
    /// `datetime`, in UTC, to the millisecond.
    DateTime(Naive),
    /// `datetime`, in UTC, to the microsecond.
    Micros(Naive),
    /// `date`: the text `YYYY-MM-DD`, which sorts as the days do. Bounds are such texts.
    Date(Bounds<Box<str>>),
    /// The same, which MongoDB keeps as a datetime: the midnight in UTC with which the day begins, as other programs do.
    Midnight(Bounds<Box<str>>),
    /// `time` without an offset: the text `HH:MM:SS` or `HH:MM:SS.ffffff`, which sorts as the times do. Bounds are such texts.
    Time(Bounds<Box<str>>),
    /// `timedelta`, in microseconds.
    Duration(Bounds<i64>),
    /// `Decimal`, of up to 34 digits.
    Decimal(Number),
    /// `Enum` or `Literal`.
    OneOf {
        /// Strings, integers or booleans.
        values: Vec<Value<'static>>,
        /// Which of them.
        sort: ChoiceSort,
    },
    /// `Optional[T]`
    Optional(Box<Type>),
    /// `list[T]`, `set[T]`, `frozenset[T]` or `tuple[T, ...]`
    List {
        /// Which of them.
        sort: ListSort,
        /// What the items are.
        item: Box<Type>,
        /// The least number of items.
        min: Option<usize>,
        /// The greatest number of items.
        max: Option<usize>,
    },
    /// `tuple[A, B]`: as many items as there are types, each of its own.
    Fixed(Vec<Type>),
    /// A nested model.
    Model(Nested),
    /// `dict[str, T]`
    Map {
        /// What the values are.
        value: Box<Type>,
        /// The least number of entries.
        min: Option<usize>,
        /// The greatest number of entries.
        max: Option<usize>,
    },
    /// `bytes`
    Bytes {
        /// How they are written in JSON.
        form: BytesForm,
        /// The least number of bytes.
        min: Option<usize>,
        /// The greatest number of bytes.
        max: Option<usize>,
    },
    /// `A | B`, of types that look different in JSON.
    Union(Union),
    /// A union of models that a member tells apart.
    Tagged(Tagged),
    /// `Any`: whatever JSON holds.
    Any,
}

/// What a time is that does not say its offset from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Naive {
    /// A violation.
    #[default]
    Refused,
    /// One in UTC.
    Utc,
}

/// In which order drivers of a language wrote the bytes of a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegacyUuid {
    /// As they are.
    Python,
    /// Each half from its end.
    Java,
    /// Each of the first three groups from its end.
    CSharp,
}

/// How bytes are written in a JSON string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BytesForm {
    /// As base64 of the alphabet that is safe in URLs (RFC 4648, section 5), as pydantic writes it; read from either alphabet.
    #[default]
    UrlSafe,
    /// As base64 of the standard alphabet, as msgspec writes it; read from either alphabet.
    Base64,
    /// As the text whose UTF-8 they are, which is pydantic's default. What others have stored and is none has U+FFFD in its place.
    Utf8,
    /// As small hexadecimal digits; read from capital ones, too.
    Hex,
}

/// What a choice is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChoiceSort {
    /// `Literal`: the violation is called `literal_error`, else `enum`.
    Literal,
    /// `Enum`
    Enum,
    /// `IntEnum`, whose values stand in texts, too, where numbers may ([`Coerce::Pydantic`](super::Coerce::Pydantic)).
    IntEnum,
}

/// What a list is called, and whether it holds a value twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListSort {
    /// `list`
    #[default]
    List,
    /// `set`: what is there already is left out; the rest stays in the order in which it came.
    Set,
    /// `frozenset`, which is the same in JSON.
    FrozenSet,
    /// `tuple` of any length, which is a list in JSON.
    Tuple,
}

impl ListSort {
    /// Whether a value is held once.
    pub const fn is_set(self) -> bool {
        matches!(self, Self::Set | Self::FrozenSet)
    }
}

/// Bounds of an ordered value.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<T> {
    /// Greater than.
    pub gt: Option<T>,
    /// Greater than or equal.
    pub ge: Option<T>,
    /// Less than.
    pub lt: Option<T>,
    /// Less than or equal.
    pub le: Option<T>,
    /// A multiple of.
    pub multiple_of: Option<T>,
}

impl<T> Default for Bounds<T> {
    fn default() -> Self {
        Self { gt: None, ge: None, lt: None, le: None, multiple_of: None }
    }
}

impl<T: Copy> Bounds<T> {
    /// The same bounds of another type.
    pub(crate) fn map<U>(&self, to: impl Fn(T) -> U) -> Bounds<U> {
        let Self { gt, ge, lt, le, multiple_of } = self;
        Bounds { gt: gt.map(&to), ge: ge.map(&to), lt: lt.map(&to), le: le.map(&to), multiple_of: multiple_of.map(&to) }
    }
}

/// Rules of a decimal number. Zeros at the end are not counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Number {
    /// Its bounds.
    pub bounds: Bounds<Decimal>,
    /// The greatest number of digits.
    pub max_digits: Option<usize>,
    /// The greatest number of digits after the point.
    pub decimal_places: Option<usize>,
}

/// Rules of a text, applied in pydantic's order: white space, lengths in code points, pattern, letters.
#[derive(Debug, Clone, Default)]
pub struct Text {
    /// The least length.
    pub min: Option<usize>,
    /// The greatest length.
    pub max: Option<usize>,
    /// A pattern that must be found in it.
    pub pattern: Option<regex::Regex>,
    /// White space at both ends is cut off first.
    pub strip: bool,
    /// Letters are made small at last.
    pub lower: bool,
    /// Letters are made capital at last.
    pub upper: bool,
}

impl Type {
    /// The type without `Optional` around it, and whether null is allowed.
    pub fn inner(&self) -> (&Type, bool) {
        match self {
            Self::Optional(inner) => (inner.inner().0, true),
            other => (other, false),
        }
    }

    /// Whether rows can be filtered and sorted by it: everything but lists, models, dicts, bytes, unions, and what may be any
    /// of these.
    pub fn is_scalar(&self) -> bool {
        let kind = self.inner().0;
        !matches!(
            kind,
            Self::List { .. }
                | Self::Fixed(_)
                | Self::Model(_)
                | Self::Map { .. }
                | Self::Bytes { .. }
                | Self::Union(_)
                | Self::Tagged(_)
                | Self::Any
        )
    }

    /// Whether the server chooses ids of this type.
    pub const fn is_made_here(&self) -> bool {
        matches!(self, Self::Uuid | Self::LegacyUuid(_) | Self::ObjectId)
    }

    /// A time as this type keeps it, given in microseconds since 1970.
    pub(crate) fn instant(&self, micros: i64) -> Value<'static> {
        match self.inner().0 {
            Self::Micros(_) => Value::Micros(micros),
            _ => Value::DateTime(micros.div_euclid(1000)),
        }
    }

    /// The type of an item of an array: of a list all are the same, and of what may be anything so are they.
    pub(crate) fn item(&self, index: usize) -> &Self {
        match self.inner().0 {
            Self::List { item, .. } => item,
            Self::Fixed(kinds) => kinds.get(index).unwrap_or(&Self::Any),
            any => any,
        }
    }

    /// Whether null is one of its values.
    pub fn is_nullable(&self) -> bool {
        matches!(self, Self::Optional(_) | Self::Any)
    }
}

impl Schema {
    /// The index of the field called `name`.
    pub fn field(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| *field.name == *name)
    }

    /// Has the words of these fields looked for by a search.
    ///
    /// # Errors
    /// When there is no such field that clients see, or it holds no text.
    pub fn search(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, ConfigError> {
        for name in names {
            let name = name.as_ref();
            let index = self.field(name).filter(|index| self.fields[*index].access.is_shown());
            let Some(index) = index else {
                let error = ConfigError::new(format!("{} has no field {name:?} that could be searched", self.name));
                let shown = self.fields.iter().filter(|field| field.access.is_shown());
                return Err(match suggest::closest(name, shown.map(|field| &*field.name)) {
                    Some(near) => error.cure(format!("did you mean {near}?")),
                    None => error.cure("name texts that clients see"),
                });
            };
            if !matches!(self.fields[index].kind.inner().0, Type::Str(_)) {
                return Err(ConfigError::new(format!("{}.{name} holds no text, so it has no words", self.name))
                    .cure("leave it out of search"));
            }
            self.fields[index].searched = true;
        }
        Ok(self)
    }

    /// Whether documents hold more than the fields ([`Unknown::Allow`]).
    pub fn is_open(&self) -> bool {
        self.unknown == Unknown::Allow
    }

    /// The members of a document of this schema that are none of its fields.
    pub(crate) fn extras<'v, 'a>(&self, values: &'v [Value<'a>]) -> &'v [(Cow<'a, str>, Value<'a>)] {
        match values.get(self.fields.len()) {
            Some(Value::Map(extras)) if self.is_open() => extras,
            _ => &[],
        }
    }

    /// The fields whose words are looked for by a search.
    pub fn searched(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.searched)
    }

    /// Whether rows hold what clients do not see.
    pub fn has_unseen(&self) -> bool {
        self.fields.iter().any(|field| !field.access.is_shown())
    }

    /// Whether rows hold what a `PUT` keeps when it leaves it out.
    pub(crate) fn has_kept(&self) -> bool {
        self.fields.iter().any(|field| field.access.is_kept())
    }
}
