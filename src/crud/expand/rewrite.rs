//! Rows in the place of ids: which are wanted, and the answer with them.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;

use http::request::Parts;
use serde_json::value::RawValue;

use super::inside;
use super::plan::{Expansion, Rows, Step};
use crate::crud::Schema;
use crate::crud::json::{self, Members};
use crate::crud::service::internal;
use crate::service::Problem;

/// Rows that one answer may hold beside its own.
const MOST_ROWS: usize = 5000;

type Written<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, Problem>> + Send + 'a>>;

impl Expansion {
    /// A JSON array of rows, with what is expanded in them; `left` is how many rows may still be added.
    pub(in crate::crud) async fn rows(&self, schema: &Schema, array: &[u8], parts: &Parts) -> Result<Vec<u8>, Problem> {
        let mut left = MOST_ROWS;
        self.expanded(schema, array, parts, &mut left).await
    }

    fn expanded<'a>(
        &'a self,
        schema: &'a Schema,
        array: &'a [u8],
        parts: &'a Parts,
        left: &'a mut usize,
    ) -> Written<'a> {
        Box::pin(async move {
            let rows: Vec<&RawValue> = serde_json::from_slice(array).map_err(|error| internal(schema, &error))?;
            let mut wanted: Vec<(&Rows, BTreeSet<&str>)> = Vec::new();
            for row in &rows {
                self.gather(schema, row, &mut wanted).map_err(|error| internal(schema, &error))?;
            }
            let mut found = Vec::with_capacity(wanted.len());
            for (step, ids) in wanted {
                *left = left.checked_sub(ids.len()).ok_or_else(too_many)?;
                let array = step.model.rows(ids.into_iter().collect(), parts).await?;
                let model = step.model.schema();
                let array =
                    if step.next.is_empty() { array } else { step.next.expanded(model, &array, parts, left).await? };
                found.push((Place::of(step), by_id(model, &array).map_err(|error| internal(model, &error))?));
            }
            let found: HashMap<Place, HashMap<String, Vec<u8>>> = found.into_iter().collect();
            let mut out = Vec::with_capacity(array.len() * 2);
            out.push(b'[');
            for (index, row) in rows.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                self.write(&mut out, schema, row, &found).map_err(|error| internal(schema, &error))?;
            }
            out.push(b']');
            Ok(out)
        })
    }

    /// Notes the ids that stand in a row, for each step.
    fn gather<'j, 's>(
        &'s self,
        schema: &Schema,
        row: &'j RawValue,
        wanted: &mut Vec<(&'s Rows, BTreeSet<&'j str>)>,
    ) -> serde_json::Result<()> {
        let members: Members<'j> = serde_json::from_str(row.get())?;
        for (name, value) in members.0 {
            let Some((index, step)) = self.step(schema, &name) else { continue };
            for value in each(value)? {
                match step {
                    Step::Inside(within) => {
                        if let Some(nested) = inside(&schema.fields[index]) {
                            within.gather(nested, value, wanted)?;
                        }
                    }
                    Step::Rows(rows) => match wanted.iter_mut().find(|(own, _)| Place::of(own) == Place::of(rows)) {
                        Some((_, ids)) => drop(ids.insert(value.get())),
                        None => wanted.push((rows, BTreeSet::from([value.get()]))),
                    },
                }
            }
        }
        Ok(())
    }

    fn step(&self, schema: &Schema, name: &str) -> Option<(usize, &Step)> {
        let found = self.fields.iter().find(|(index, _)| *schema.fields[*index].name == *name)?;
        Some((found.0, &found.1))
    }

    fn write(
        &self,
        out: &mut Vec<u8>,
        schema: &Schema,
        row: &RawValue,
        found: &HashMap<Place, HashMap<String, Vec<u8>>>,
    ) -> serde_json::Result<()> {
        let members: Members<'_> = serde_json::from_str(row.get())?;
        out.push(b'{');
        for (count, (name, value)) in members.0.iter().enumerate() {
            if count > 0 {
                out.push(b',');
            }
            json::write_str(out, name);
            out.push(b':');
            let Some((index, step)) = self.step(schema, name) else {
                out.extend_from_slice(value.get().as_bytes());
                continue;
            };
            let is_list = value.get().starts_with('[');
            if is_list {
                out.push(b'[');
            }
            let values = each(value)?;
            if values.is_empty() && !is_list {
                out.extend_from_slice(b"null");
            }
            for (count, value) in values.into_iter().enumerate() {
                if count > 0 {
                    out.push(b',');
                }
                match (step, inside(&schema.fields[index])) {
                    (Step::Inside(within), Some(nested)) => within.write(out, nested, value, found)?,
                    (Step::Inside(_), None) => out.extend_from_slice(value.get().as_bytes()),
                    (Step::Rows(rows), _) => {
                        let row = found.get(&Place::of(rows)).and_then(|rows| rows.get(value.get()));
                        out.extend_from_slice(row.map_or(b"null", |row| row));
                    }
                }
            }
            if is_list {
                out.push(b']');
            }
        }
        out.push(b'}');
        Ok(())
    }
}

/// Tells the steps of a plan apart, which does not move while it is followed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Place(usize);

impl Place {
    fn of(rows: &Rows) -> Self {
        Self(std::ptr::from_ref(rows).addr())
    }
}

/// The items of a list, or the one value; nothing for null.
fn each(value: &RawValue) -> serde_json::Result<Vec<&RawValue>> {
    match value.get().as_bytes().first() {
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(value.get())?;
            Ok(items)
        }
        Some(b'n') => Ok(Vec::new()),
        _ => Ok(vec![value]),
    }
}

/// The rows of an array by the JSON of their ids.
fn by_id(schema: &Schema, array: &[u8]) -> serde_json::Result<HashMap<String, Vec<u8>>> {
    let rows: Vec<&RawValue> = serde_json::from_slice(array)?;
    let id = schema.id.map_or("", |id| &*schema.fields[id].name);
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        let members: Members<'_> = serde_json::from_str(row.get())?;
        if let Some((_, value)) = members.0.iter().find(|(name, _)| name == id) {
            found.insert(value.get().to_owned(), row.get().as_bytes().to_vec());
        }
    }
    Ok(found)
}

fn too_many() -> Problem {
    Problem::bad_request(format!("this would add more than {MOST_ROWS} rows to the answer; ask for smaller pages"))
}
