//! Writes that depend on what the row holds: read, make anew, write if it is still the row that was read.

use http::StatusCode;
use http::request::Parts;

use super::idempotency::{Taken, Written};
use crate::crud::policy::Admission;
use crate::crud::schema::validate::{self, Rejection};
use crate::crud::service::{Served, changed};
use crate::crud::store::{Expect, Write};
use crate::crud::{Collection, Op, Outcome, Row, Value};
use crate::service::Problem;

/// How often it is tried again when other writers come between.
pub(super) const TRIES: usize = 3;

/// The row as `make` turns it from what it was, or none that the caller may write.
pub(super) async fn rewrite<C: Collection>(
    served: &Served<C>,
    op: Op,
    parts: &Parts,
    (id, expect): (&Value<'static>, &Expect),
    admission: &Admission,
    key: Option<&Taken<'_>>,
    make: impl Fn(Vec<Value<'static>>) -> Result<Vec<Value<'static>>, Rejection>,
) -> Result<Option<Written<Row>>, Problem> {
    for _ in 0..TRIES {
        let Some(row) = current(served, id, expect).await? else { return Ok(None) };
        let stored = validate::stored(&served.schema, &row.json).map_err(|rejection| served.unfit(&rejection))?;
        let mut values = make(stored.into_iter().map(Value::into_owned).collect())?;
        for (field, value) in validate::renewed(&served.schema) {
            values[field] = value;
        }
        admission.check(&served.schema, &values)?;
        let document = served.before(op, parts, Some(&row), Value::Object(values)).await?;
        let seen = Expect { versions: Some(vec![row.version]), only: expect.only.clone() };
        let replaced = match key {
            None => served.done(served.collection.replace(document, seen).await)?.map(Written::Now),
            Some(key) => key.write(served, Write::Replace(document, seen)).await?,
        };
        match replaced {
            Outcome::Done(written) => {
                if let Written::Now(now) = &written {
                    served.after(op, parts, Some(&row), Some(now));
                }
                return Ok(Some(written));
            }
            Outcome::NotFound => return Ok(None),
            Outcome::Changed => {}
        }
    }
    Err(contended())
}

/// 409: others were quicker each time.
pub(super) fn contended() -> Problem {
    Problem::of(StatusCode::CONFLICT).detail("other writers changed the row at the same time; try again")
}

/// The row as it is, or none that the caller may write.
pub(super) async fn current<C: Collection>(
    served: &Served<C>,
    id: &Value<'static>,
    expect: &Expect,
) -> Result<Option<Row>, Problem> {
    match served.done(served.collection.get(id.clone(), expect.only.clone()).await)? {
        Some(row) if !expect.fits(row.version) => Err(changed()),
        row => Ok(row),
    }
}
