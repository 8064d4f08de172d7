//! What is to be expanded: the names of a request against the models that there are.

use std::sync::Arc;

use http::request::Parts;

use super::{Model, References, inside};
use crate::crud::Schema;
use crate::crud::schema::Field;
use crate::service::{Location, Problem, Violation};

/// References behind references.
const DEEPEST: usize = 2;
/// Names in one request.
const MOST_NAMES: usize = 32;

/// The fields of a model in which something is expanded, given by index.
#[derive(Clone, Default)]
pub(in crate::crud) struct Expansion {
    pub(super) fields: Vec<(usize, Step)>,
}

#[derive(Clone)]
pub(super) enum Step {
    /// In the model or models that lie there.
    Inside(Expansion),
    /// The id or ids that stand there.
    Rows(Arc<Rows>),
}

/// Rows of a model, and what is expanded in them.
#[derive(Clone)]
pub(super) struct Rows {
    pub(super) model: Arc<dyn Model>,
    pub(super) next: Expansion,
}

impl Expansion {
    /// Reads `author,lines.product,author.publisher`; `at` is where it was said.
    pub(in crate::crud) fn read(
        schema: &Schema,
        references: &References,
        text: &str,
        at: &Location,
        parts: &Parts,
    ) -> Result<Self, Problem> {
        let mut expansion = Self::default();
        let mut wrong = Vec::new();
        let mut refuse = |code, detail: String| wrong.push(Violation::new(at.clone(), code, detail));
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        for (count, name) in names.enumerate() {
            if count == MOST_NAMES {
                refuse("too_long", format!("may name at most {MOST_NAMES}"));
                break;
            }
            let path: Vec<&str> = name.split('.').collect();
            match expansion.add(schema, references, &path, DEEPEST) {
                Ok(()) => {}
                Err(Refused::Unknown) => {
                    let shown: String = name.chars().take(100).collect();
                    let names = offered(schema, references);
                    let choices =
                        if names.is_empty() { String::new() } else { format!("; choose from {}", names.join(", ")) };
                    refuse("unknown_parameter", format!("{shown} cannot be expanded{choices}"));
                }
                Err(Refused::TooDeep) => {
                    refuse("too_deep", format!("may name references behind references {DEEPEST} deep"));
                }
            }
        }
        if wrong.is_empty() {
            expansion.admits(parts)?;
            return Ok(expansion);
        }
        Err(Problem::bad_request("the query asks for what this model does not refer to").errors(wrong))
    }

    pub(in crate::crud) const fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    fn add(&mut self, schema: &Schema, references: &References, path: &[&str], deep: usize) -> Result<(), Refused> {
        let [name, rest @ ..] = path else { return Err(Refused::Unknown) };
        let index = schema.field(name).filter(|index| schema.fields[*index].access.is_shown());
        let index = index.ok_or(Refused::Unknown)?;
        let field = &schema.fields[index];
        let at = self.fields.iter().position(|(own, _)| *own == index);
        if let Some(model) = field.reference.as_ref().and_then(|name| references.get(name)) {
            if deep == 0 {
                return Err(Refused::TooDeep);
            }
            let mut next = match at.map(|at| &self.fields[at].1) {
                Some(Step::Rows(rows)) => rows.next.clone(),
                _ => Self::default(),
            };
            if !rest.is_empty() {
                next.add(model.schema(), references, rest, deep - 1)?;
            }
            self.set(index, Step::Rows(Arc::new(Rows { model: Arc::clone(model), next })));
            return Ok(());
        }
        let nested = inside(field).filter(|_| !rest.is_empty()).ok_or(Refused::Unknown)?;
        let mut within = match at.map(|at| &self.fields[at].1) {
            Some(Step::Inside(within)) => within.clone(),
            _ => Self::default(),
        };
        within.add(nested, references, rest, deep)?;
        self.set(index, Step::Inside(within));
        Ok(())
    }

    fn set(&mut self, index: usize, step: Step) {
        match self.fields.iter_mut().find(|(own, _)| *own == index) {
            Some((_, own)) => *own = step,
            None => self.fields.push((index, step)),
        }
    }

    /// That the caller may read rows of every model.
    fn admits(&self, parts: &Parts) -> Result<(), Problem> {
        self.fields.iter().try_for_each(|(_, step)| match step {
            Step::Inside(within) => within.admits(parts),
            Step::Rows(rows) => {
                rows.model.admits(parts)?;
                rows.next.admits(parts)
            }
        })
    }
}

/// Why a name cannot be expanded.
enum Refused {
    Unknown,
    TooDeep,
}

/// The names of what can be expanded in rows of `schema`.
pub(in crate::crud) fn offered(schema: &Schema, references: &References) -> Vec<String> {
    let mut names = Vec::new();
    for field in schema.fields.iter().filter(|field| field.access.is_shown()) {
        if refers(field, references) {
            names.push(field.name.to_string());
        } else if let Some(nested) = inside(field) {
            names.extend(offered(nested, references).into_iter().map(|name| format!("{}.{name}", field.name)));
        }
    }
    names
}

fn refers(field: &Field, references: &References) -> bool {
    field.reference.as_ref().is_some_and(|name| references.get(name).is_some())
}
