//! How the steps of a plan are put together, on both stores.

use serde_json::Value as Json;

use super::differences::{Difference, differences, field_at, words};
use super::plan::{Safety, Step, StepKind};
use super::shape;
use crate::crud::Schema;
use crate::crud::json::write_value;
use crate::crud::schema::{DefaultValue, Field};

/// How closely it is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// At what the store says of itself.
    Shape,
    /// At the rows as well, where they may stand in the way.
    Rows,
}

/// Ids that are told of rows which stand in the way.
pub(super) const EXAMPLES: usize = 3;

/// Rows that stand in the way: how many, and the ids of some.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) rows: u64,
    pub(super) ids: Vec<String>,
}

impl Found {
    /// Counts rows; the id of one of them is asked for while it is wanted.
    pub(super) fn add(&mut self, rows: u64, id: impl FnOnce() -> String) {
        self.rows += rows;
        if self.ids.len() < EXAMPLES {
            self.ids.push(id());
        }
    }
}

/// The steps of one schema.
pub(super) struct Steps<'s> {
    schema: &'s Schema,
    found: Vec<Step>,
}

impl<'s> Steps<'s> {
    pub(super) fn new(schema: &'s Schema) -> Self {
        Self { schema, found: Vec::new() }
    }

    pub(super) fn into_vec(self) -> Vec<Step> {
        self.found
    }

    /// The store holds nothing yet.
    pub(super) fn new_store(&mut self, text: impl Into<String>) {
        self.found.push(Step {
            model: String::new(),
            field: None,
            kind: StepKind::NewStore,
            safety: Safety::Safe,
            rows: 0,
            ids: Vec::new(),
            cure: None,
            text: text.into(),
        });
    }

    /// What opening does.
    pub(super) fn safe(&mut self, field: Option<&str>, kind: StepKind, text: impl Into<String>, rows: u64) {
        self.add(field, kind, Safety::Safe, text.into(), Found { rows, ids: Vec::new() }, None);
    }

    /// What opening refuses, and is done on request.
    #[cfg(feature = "mongodb")]
    pub(super) fn on_request(&mut self, field: &str, kind: StepKind, text: impl Into<String>) {
        self.add(Some(field), kind, Safety::OnRequest, text.into(), Found::default(), None);
    }

    /// What nobody does.
    pub(super) fn conflict(
        &mut self,
        field: Option<&str>,
        kind: StepKind,
        text: impl Into<String>,
        found: Found,
        cure: &str,
    ) {
        self.add(field, kind, Safety::Conflict, text.into(), found, Some(cure.to_owned()));
    }

    fn add(
        &mut self,
        field: Option<&str>,
        kind: StepKind,
        safety: Safety,
        text: String,
        found: Found,
        cure: Option<String>,
    ) {
        let (model, field) = (self.schema.name.clone(), field.map(str::to_owned));
        let Found { rows, ids } = found;
        self.found.push(Step { model, field, kind, safety, rows, ids, cure, text });
    }

    /// The step of this kind for a field.
    pub(super) fn of(&mut self, field: &str, kind: StepKind) -> Option<&mut Step> {
        self.found.iter_mut().find(|step| step.kind == kind && step.field.as_deref() == Some(field))
    }

    /// Takes away what makes no difference to this store.
    #[cfg(feature = "mongodb")]
    pub(super) fn forget(&mut self, kind: StepKind) {
        self.found.retain(|step| step.kind != kind);
    }

    /// The fields whose types stored rows do not fit.
    pub(super) fn unfit(&mut self) -> impl Iterator<Item = &mut Step> {
        self.found.iter_mut().filter(|step| step.kind == StepKind::Unfit)
    }

    /// What the shapes tell. Each difference has `written` rows written, and what rows hold of a field that is gone is `kept`.
    /// Where there are `rows`, those whose types do not fit stand in the way.
    pub(super) fn of_shapes(&mut self, old: &Json, new: &Json, rows: u64, written: u64, kept: &str) {
        for difference in differences(old, new) {
            match difference {
                Difference::New(path) => {
                    let default = field_at(self.schema, &path).map_or_else(String::new, default_of);
                    self.safe(Some(&path), StepKind::NewField, format!("new field, {default}"), written);
                }
                Difference::Gone(path) => {
                    self.safe(Some(&path), StepKind::FieldGone, format!("no field any more; {kept}"), written);
                }
                Difference::Type(path, old, new) => {
                    let text = match (words(old), words(new)) {
                        (from, to) if from == to => format!("{to} of another shape"),
                        (from, to) => format!("{from} becomes {to}"),
                    };
                    if rows > 0 && shape::conflict("", old, new).is_some() {
                        let cure = "give the changed field a new name, or move the rows by hand";
                        let text = format!("{text}, which stored rows do not fit");
                        self.conflict(Some(&path), StepKind::Unfit, text, Found { rows, ids: Vec::new() }, cure);
                    } else {
                        self.safe(Some(&path), StepKind::NewType, text, written);
                    }
                }
                Difference::Open(path, is_open) => {
                    let field = (!path.is_empty()).then_some(&*path);
                    let text = match is_open {
                        true => "members that are no fields are kept and shown".to_owned(),
                        false => format!("members that are no fields are not shown any more; {kept}"),
                    };
                    self.safe(field, StepKind::NewType, text, written);
                }
                Difference::Order(path) => {
                    let field = (!path.is_empty()).then_some(&*path);
                    self.safe(field, StepKind::Order, "the fields are in another order", written);
                }
            }
        }
    }

    /// That an index of words is built.
    pub(super) fn words(&self) -> String {
        let names: Vec<&str> = self.schema.searched().map(|field| &*field.name).collect();
        format!("the index of the words in {} is built", names.join(" and "))
    }

    /// Rows that hold a value which is to be unique, as others do, or values that are to be unique together.
    pub(super) fn refuse_duplicates(&mut self, fields: &[&str], found: Found) {
        if found.rows > 0 {
            let text = match fields {
                [_] => "cannot be made unique: rows hold a value that others hold",
                _ => "cannot be made unique together: rows hold values that others hold",
            };
            self.conflict(Some(&fields.join(", ")), StepKind::Duplicates, text, found, "change or delete some of them");
        }
    }

    /// Rows that hold null where they may not.
    pub(super) fn refuse_null(&mut self, field: &str, found: Found) {
        if found.rows > 0 {
            self.replaced(field);
            let text = "null in stored rows, and may not be";
            self.conflict(Some(field), StepKind::Missing, text, found, "declare it as Optional");
        }
    }

    /// That a field is new, or of another type, is told by what stands in the way.
    fn replaced(&mut self, field: &str) {
        let is_it = |step: &Step| {
            matches!(step.kind, StepKind::NewField | StepKind::NewType) && step.field.as_deref() == Some(field)
        };
        self.found.retain(|step| !is_it(step));
    }

    /// Rows that lack what they must have.
    pub(super) fn refuse_missing(&mut self, field: &str, found: Found) {
        if found.rows > 0 {
            self.replaced(field);
            let cure = "give it a default, or declare it as Optional";
            self.conflict(Some(field), StepKind::Missing, "required, and lacking in stored rows", found, cure);
        }
    }
}

/// What a new field holds in the rows that are there.
fn default_of(field: &Field) -> String {
    match &field.default {
        Some(DefaultValue::Constant(value)) => {
            let mut text = Vec::new();
            write_value(&mut text, &field.kind, value);
            format!("with {}", String::from_utf8_lossy(&text))
        }
        Some(DefaultValue::Uuid4 | DefaultValue::Uuid7) => "with a new UUID".into(),
        Some(DefaultValue::ObjectId) => "with a new ObjectId".into(),
        Some(DefaultValue::Now) => "with the time at which it is added".into(),
        Some(DefaultValue::Token(_)) => "with a new token".into(),
        None | Some(DefaultValue::Claim(_)) if field.kind.inner().1 => "with null".into(),
        None | Some(DefaultValue::Claim(_)) => "which is required".into(),
    }
}
