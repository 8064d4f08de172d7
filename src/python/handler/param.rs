//! A parameter: one value, or several of one kind.

use std::collections::HashSet;

use http::HeaderName;
use serde::Deserialize;

use super::plan::Source;
use super::rule::{Rule, Written, check_items};
use super::scalar::{Collection, Kind, Scalar, read, violation};
use crate::ConfigError;
use crate::python::form;
use crate::service::{Location, Violation};

/// A scalar or several scalars.
#[derive(Debug, Deserialize)]
pub(super) struct Param {
    pub(super) alias: String,
    pub(super) source: Source,
    kind: Kind,
    collection: Option<Collection>,
    /// Index of the default among the plan's objects.
    default: Option<usize>,
    /// Index of what makes the default.
    factory: Option<usize>,
    /// Whether it is a field that a model does without.
    omitted: bool,
    /// Text of an Enum's or a Literal's members, and where each is among the plan's objects.
    members: Vec<(String, usize)>,
    #[serde(rename = "rule")]
    written: Written,
    min_items: Option<usize>,
    max_items: Option<usize>,
    /// What files may be, as `image/*`; any where none is given.
    #[serde(default)]
    pub(super) media_types: Vec<String>,
    #[serde(skip)]
    rule: Rule,
    /// Where it stands in the path template.
    #[serde(skip)]
    pub(super) position: usize,
    /// The name of the header.
    #[serde(skip)]
    pub(super) header: Option<HeaderName>,
}

impl Source {
    /// The place of what is called `name` there.
    pub(super) fn at(self, name: String) -> Location {
        match self {
            Self::Path => Location::Path(name),
            Self::Query => Location::Parameter(name),
            Self::Header => Location::Header(name),
            Self::Cookie => Location::Cookie(name),
            Self::Form => form::pointer(&name),
        }
    }
}

impl Param {
    pub(super) fn compile(&mut self) -> Result<(), ConfigError> {
        self.rule = std::mem::take(&mut self.written).compile()?;
        Ok(())
    }

    /// Whether all values of its name count.
    pub(super) fn takes_several(&self) -> bool {
        self.collection.is_some()
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn location(&self) -> Location {
        self.source.at(self.alias.clone())
    }

    /// Of what was sent, in its order. Of several values for a place that takes one, the last counts; of cookies the first, which
    /// belongs to the path that is nearest (RFC 6265, 5.4).
    pub(super) fn take<'a>(
        &self,
        mut values: impl DoubleEndedIterator<Item = &'a str>,
    ) -> Result<Scalar, Vec<Violation>> {
        match self.collection {
            Some(collection) => self.all(collection, values),
            None if self.source == Source::Cookie => self.one(values.next()),
            None => self.one(values.next_back()),
        }
    }

    pub(super) fn one(&self, value: Option<&str>) -> Result<Scalar, Vec<Violation>> {
        match value {
            Some(text) => self.read(text).map_err(|violation| vec![violation]),
            None => self.without().ok_or_else(|| vec![Violation::new(self.location(), "missing", "is required")]),
        }
    }

    /// What it is where nothing was sent.
    fn without(&self) -> Option<Scalar> {
        match (self.default, self.factory) {
            (Some(default), _) => Some(Scalar::Object(default)),
            (None, Some(factory)) => Some(Scalar::Made(factory)),
            (None, None) => self.omitted.then_some(Scalar::Absent),
        }
    }

    fn all<'a>(&self, collection: Collection, values: impl Iterator<Item = &'a str>) -> Result<Scalar, Vec<Violation>> {
        self.gathered(collection, values.map(|text| self.read(text)))
    }

    /// Of what was read of several, all that is wrong or what they make.
    pub(super) fn gathered(
        &self,
        collection: Collection,
        values: impl Iterator<Item = Result<Scalar, Violation>>,
    ) -> Result<Scalar, Vec<Violation>> {
        let mut items = Vec::new();
        let mut wrong = Vec::new();
        for value in values {
            match value {
                Ok(item) => items.push(item),
                Err(violation) => wrong.push(violation),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        if items.is_empty() {
            return self.one(None);
        }
        if self.min_items.is_some() || self.max_items.is_some() {
            let is_set = matches!(collection, Collection::Set | Collection::FrozenSet);
            let different = || items.iter().map(|item| format!("{item:?}")).collect::<HashSet<_>>().len();
            let count = if is_set { different() } else { items.len() };
            let checked = check_items(count, self.min_items, self.max_items);
            checked.map_err(|broken| vec![violation(broken, self.location())])?;
        }
        Ok(Scalar::Many(collection, items))
    }

    pub(super) fn collection(&self) -> Option<Collection> {
        self.collection
    }

    /// Whether a value is within the limits.
    pub(super) fn check(&self, value: &Scalar) -> Result<(), Violation> {
        self.rule.check(value).map_err(|broken| violation(broken, self.location()))
    }

    pub(super) fn read(&self, text: &str) -> Result<Scalar, Violation> {
        read(text, self.kind, &self.members, &self.rule, || self.location())
    }
}
