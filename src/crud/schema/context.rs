//! Where a reader is in a body, and what it found wrong so far.

use std::cell::{Cell, RefCell};
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::check::{self, Fault};
use super::{DefaultValue, Field, Schema};
use crate::crud::{Coerce, Value};
use crate::service::{Location, Violation, push_token};

/// More violations than this help nobody.
const MOST_VIOLATIONS: usize = 100;
/// Levels of values that no model bounds; MongoDB holds 100 in all.
pub(super) const DEEPEST: usize = 64;

/// Where the reader is and what it found wrong so far.
#[derive(Default)]
pub(super) struct Context<'s> {
    path: RefCell<Vec<Step<'s>>>,
    pub(super) violations: RefCell<Vec<Violation>>,
    now: Cell<Option<i64>>,
    /// Fields that are hidden from clients are known.
    pub(super) inside: bool,
    /// What is not of its type as it stands is looked at as pydantic does in its lax mode.
    pub(super) lax: bool,
}

pub(super) enum Step<'s> {
    Field(&'s str),
    /// A name in a dict.
    Name(String),
    Index(usize),
}

impl<'s> Context<'s> {
    /// One for what a store gave back.
    pub(super) fn of_store() -> Self {
        Self { inside: true, ..Self::default() }
    }

    /// One for what a client sent.
    pub(super) fn of_client(coerce: Coerce) -> Self {
        Self { lax: coerce == Coerce::Pydantic, ..Self::default() }
    }

    pub(super) fn into_violations(self) -> Vec<Violation> {
        self.violations.into_inner()
    }

    /// The JSON pointer of the place being read.
    pub(super) fn pointer(&self) -> String {
        let mut pointer = String::new();
        for step in self.path.borrow().iter() {
            match step {
                Step::Field(name) => push_token(&mut pointer, name),
                Step::Name(name) => push_token(&mut pointer, name),
                Step::Index(index) => {
                    pointer.push('/');
                    pointer.push_str(itoa::Buffer::new().format(*index));
                }
            }
        }
        pointer
    }

    pub(super) fn refuse(&self, fault: Fault) {
        let mut violations = self.violations.borrow_mut();
        if violations.len() < MOST_VIOLATIONS {
            violations.push(fault.at(Location::Pointer(self.pointer())));
        }
    }

    /// As [`refuse`](Self::refuse), about a member of the object being read.
    pub(super) fn refuse_member(&self, name: &str, fault: Fault) {
        let mut violations = self.violations.borrow_mut();
        if violations.len() < MOST_VIOLATIONS {
            let mut pointer = self.pointer();
            push_token(&mut pointer, name);
            violations.push(fault.at(Location::Pointer(pointer)));
        }
    }

    /// Notes here what was found wrong with the same value elsewhere.
    pub(super) fn repeat(&self, wrong: Vec<Violation>) {
        let mut violations = self.violations.borrow_mut();
        let room = MOST_VIOLATIONS.saturating_sub(violations.len());
        let at = Location::Pointer(self.pointer());
        violations.extend(wrong.into_iter().take(room).map(|violation| Violation { at: at.clone(), ..violation }));
    }

    /// Whether what is read may hold another level.
    pub(super) fn has_room(&self) -> bool {
        self.path.borrow().len() < DEEPEST
    }

    /// Steps into a place for the time of `read`. After an error the path stays, to tell where it happened.
    pub(super) fn step<T, E>(&self, step: Step<'s>, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.path.borrow_mut().push(step);
        let result = read();
        if result.is_ok() {
            self.path.borrow_mut().pop();
        }
        result
    }

    /// Does `work` with the place being the field called `name`.
    pub(super) fn inside<T>(&self, name: &'s str, work: impl FnOnce() -> T) -> T {
        self.path.borrow_mut().push(Step::Field(name));
        let result = work();
        self.path.borrow_mut().pop();
        result
    }

    /// As [`inside`](Self::inside), about an entry of a dict.
    pub(super) fn inside_entry<T>(&self, name: &str, work: impl FnOnce() -> T) -> T {
        self.path.borrow_mut().push(Step::Name(name.to_owned()));
        let result = work();
        self.path.borrow_mut().pop();
        result
    }

    /// The checked value, or a placeholder after noting the fault.
    pub(super) fn checked<'a>(&self, result: Result<Value<'a>, Fault>) -> Value<'a> {
        result.unwrap_or_else(|fault| {
            self.refuse(fault);
            Value::Null
        })
    }

    /// The time of the request in microseconds since 1970, the same for every field.
    pub(super) fn now(&self) -> i64 {
        self.now.get().unwrap_or_else(|| {
            let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let now = i64::try_from(elapsed.as_micros()).unwrap_or(0);
            self.now.set(Some(now));
            now
        })
    }

    /// The value of a field that was left out.
    pub(super) fn left_out<'a>(&self, field: &Field) -> Value<'a> {
        match &field.default {
            Some(DefaultValue::Constant(value)) => value.clone(),
            Some(DefaultValue::Uuid4) => Value::Uuid(Uuid::new_v4()),
            Some(DefaultValue::Uuid7) => Value::Uuid(Uuid::now_v7()),
            Some(DefaultValue::ObjectId) => Value::Str(check::new_object_id().into()),
            Some(DefaultValue::Now) => field.kind.instant(self.now()),
            Some(DefaultValue::Token(bytes)) => Value::Str(check::new_token(*bytes).into()),
            Some(DefaultValue::Claim(_)) if field.kind.is_nullable() => Value::Null,
            Some(DefaultValue::Claim(name)) => {
                let detail = format!("is taken from the caller's {name}, which is not known");
                self.refuse_member(&field.name, Fault::new("missing", detail));
                Value::Null
            }
            None => {
                self.refuse_member(&field.name, Fault::new("missing", "is required"));
                Value::Null
            }
        }
    }

    /// One value for each field of `schema`, and one for what it does not have, where that is allowed.
    pub(super) fn fill<'a>(&self, schema: &Schema, slots: Vec<Option<Value<'a>>>) -> Vec<Value<'a>> {
        let mut slots = slots.into_iter();
        let fields = schema.fields.iter().zip(slots.by_ref());
        let mut values: Vec<_> = fields.map(|(field, slot)| slot.unwrap_or_else(|| self.left_out(field))).collect();
        if schema.is_open() {
            values.push(slots.next().flatten().unwrap_or_else(|| Value::Map(Vec::new())));
        }
        values
    }
}
