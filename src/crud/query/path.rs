//! Where a value lies in a row.

use std::fmt;

use crate::ConfigError;
use crate::crud::schema::{Field, Schema, Type, suggest};

/// A field of a row, or one of a model that lies in it: the indexes of the fields on the way, from the outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    first: usize,
    rest: Vec<usize>,
}

impl Path {
    /// The path of these names: `owner`, `home.city`.
    ///
    /// # Errors
    /// When the schema has no such field.
    pub fn of(schema: &Schema, names: &str) -> Result<Self, ConfigError> {
        match Self::walk(schema, names) {
            Some((path, _, None)) => Ok(path),
            _ => {
                let error = ConfigError::new(format!("{} has no field {names}", schema.name));
                let near = suggest::closest(names, schema.fields.iter().map(|field| &*field.name));
                Err(match near {
                    Some(near) => error.cure(format!("did you mean {near}?")),
                    None => error,
                })
            }
        }
    }

    /// The top-level field where it begins.
    pub const fn first(&self) -> usize {
        self.first
    }

    /// The indexes of the fields below that, each of the model before.
    pub fn below(&self) -> &[usize] {
        &self.rest
    }

    /// Whether it ends there.
    pub const fn is_top(&self) -> bool {
        self.rest.is_empty()
    }

    /// The field below, of the model that lies here.
    #[must_use]
    pub fn then(mut self, field: usize) -> Self {
        self.rest.push(field);
        self
    }

    /// The fields on the way; none when the schema has no such path.
    pub fn fields<'s>(&self, schema: &'s Schema) -> Option<Vec<&'s Field>> {
        let mut fields = vec![schema.fields.get(self.first)?];
        for index in &self.rest {
            let (Type::Model(model), _) = fields.last()?.kind.inner() else { return None };
            fields.push(model.fields.get(*index)?);
        }
        Some(fields)
    }

    /// The path in the names of a schema: `home.city`.
    pub(crate) fn dotted(&self, schema: &Schema) -> Option<String> {
        let names: Vec<&str> = self.fields(schema)?.iter().map(|field| &*field.name).collect();
        Some(names.join("."))
    }

    /// The path that `name` begins with, of what clients see, and what comes after it and a dot. As many names are taken as
    /// there are fields of nested models.
    pub(super) fn read<'s, 'n>(schema: &'s Schema, name: &'n str) -> Option<(Self, &'s Field, Option<&'n str>)> {
        Self::walk(schema, name).filter(|(path, ..)| schema.fields[path.first].access.is_shown())
    }

    fn walk<'s, 'n>(schema: &'s Schema, name: &'n str) -> Option<(Self, &'s Field, Option<&'n str>)> {
        let (head, mut rest) = cut(name);
        let first = schema.field(head)?;
        let (mut path, mut field) = (Self::from(first), &schema.fields[first]);
        while let (Type::Model(model), Some(text)) = (field.kind.inner().0, rest) {
            let (head, after) = cut(text);
            let Some(index) = model.field(head) else { break };
            path = path.then(index);
            (field, rest) = (&model.fields[index], after);
        }
        Some((path, field, rest))
    }
}

fn cut(text: &str) -> (&str, Option<&str>) {
    match text.split_once('.') {
        Some((head, rest)) => (head, Some(rest)),
        None => (text, None),
    }
}

impl From<usize> for Path {
    fn from(field: usize) -> Self {
        Self { first: field, rest: Vec::new() }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        self.rest.iter().try_for_each(|index| write!(f, ".{index}"))
    }
}
