//! What was wrong, as the clients of a resource are told it.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;

use super::schema::{Schema, Type};
use super::service::Served;
use super::{Collection, Op};
use crate::Response;
use crate::service::Problem;

impl<C: Collection> Served<C> {
    /// The answer that tells of `problem`.
    pub(super) fn failure(&self, problem: Problem) -> Response {
        self.errors.response_about(problem, |before, name| self.is_index(before, name))
    }

    /// The status and the document of `problem`, to stand in an answer that tells of several rows.
    pub(super) fn told(&self, problem: &Problem) -> (StatusCode, Bytes) {
        self.errors.document(problem, |before, name| self.is_index(before, name))
    }

    /// Whether a number in a body is that of an item, and not a name.
    fn is_index(&self, before: &[Cow<'_, str>], name: &str) -> bool {
        match before {
            // The rows of an array.
            [] => self.schema.field(name).is_none(),
            // Names of fields stand in strings there.
            _ if self.op == Op::Query => true,
            [first, rest @ ..] => match self.schema.field(first) {
                Some(index) => is_list(&self.schema.fields[index].kind, rest),
                None => rest.split_first().is_some_and(|(first, rest)| {
                    self.schema.field(first).is_some_and(|index| is_list(&self.schema.fields[index].kind, rest))
                }),
            },
        }
    }
}

/// Whether a list is at `path` in a value of `kind`.
fn is_list(kind: &Type, path: &[Cow<'_, str>]) -> bool {
    let field = |schema: &Schema, name: &str, rest: &[Cow<'_, str>]| {
        schema.field(name).is_some_and(|index| is_list(&schema.fields[index].kind, rest))
    };
    match (kind.inner().0, path) {
        (Type::List { .. } | Type::Fixed(_), []) | (Type::Any, _) => true,
        (Type::Union(union), path) => union.alternatives().iter().any(|kind| is_list(kind, path)),
        (Type::List { item, .. }, [_, rest @ ..]) => is_list(item, rest),
        (Type::Fixed(kinds), [_, rest @ ..]) => kinds.iter().any(|kind| is_list(kind, rest)),
        (Type::Map { value, .. }, [_, rest @ ..]) => is_list(value, rest),
        (Type::Model(schema), [name, rest @ ..]) => field(schema, name, rest),
        (Type::Tagged(tagged), [name, rest @ ..]) => {
            tagged.variants().iter().any(|variant| field(&variant.schema, name, rest))
        }
        _ => false,
    }
}
