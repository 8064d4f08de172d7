//! What the stores ask of names, and what both derive from a schema and a query.

use std::sync::atomic::{AtomicI64, Ordering};

use super::StoreError;
use crate::ConfigError;
use crate::crud::schema::{Field, Nested, Type};
use crate::crud::{Path, Pattern, Query, Schema, Sort};

/// The name of a model's collection: `BlogPost` is kept in `blog_post`.
pub(super) fn collection(model: &str) -> String {
    let mut name = String::with_capacity(model.len() + 4);
    let mut previous = '_';
    for letter in model.chars() {
        if letter.is_uppercase() && (previous.is_lowercase() || previous.is_ascii_digit()) {
            name.push('_');
        }
        if letter.is_alphanumeric() {
            name.extend(letter.to_lowercase());
        } else {
            name.push('_');
        }
        previous = letter;
    }
    name
}

/// A text in which small and capital letters are the same (Unicode full case folding), as both stores keep it beside the text itself
/// to compare it.
pub(super) fn folded(text: &str) -> String {
    unicase::UniCase::new(text).to_folded_case()
}

/// The text that a pattern without wildcards folds to, where an index holds such texts of the field.
pub(super) fn folded_key(schema: &Schema, path: &Path, pattern: &Pattern) -> Option<String> {
    let index = schema.fields.get(path.first()).filter(|_| path.is_top())?.index?;
    pattern.whole().filter(|_| index.case_insensitive && pattern.folds()).map(folded)
}

/// The index of the id, after checking that the stores can keep rows of this schema.
pub(super) fn check(schema: &Schema) -> Result<usize, ConfigError> {
    if collection(&schema.name).is_empty() {
        return Err(ConfigError::new("a model without a name cannot be stored"));
    }
    check_fields(schema, &schema.name)?;
    for field in &schema.fields {
        if field.index.is_some() && !field.kind.is_scalar() {
            return Err(ConfigError::new(format!(
                "{}.{} holds no single value, so it cannot be indexed",
                schema.name, field.name
            )));
        }
    }
    schema.check_rules()?;
    let Some(id) = schema.id else {
        return Err(ConfigError::new(format!("{} has no id", schema.name)).cure("add a field `id: UUID`"));
    };
    match schema.fields.get(id).map(|field| &field.kind) {
        Some(Type::Uuid | Type::LegacyUuid(_) | Type::ObjectId | Type::Str(_) | Type::Int(_) | Type::IntText(_)) => {
            Ok(id)
        }
        _ => Err(ConfigError::new(format!("the id of {} is of a type that cannot be an id", schema.name))
            .cure("declare it as UUID, str or int")),
    }
}

/// That rows stand in the way of a rule of uniqueness.
pub(super) fn not_unique(schema: &Schema, fields: &[String]) -> ConfigError {
    let model = &schema.name;
    ConfigError::new(match fields {
        [field] => format!("{model}.{field} cannot be made unique: some stored rows hold the same value"),
        _ => format!(
            "{model}: {} cannot be made unique together: some stored rows hold the same values",
            fields.join(" and ")
        ),
    })
}

/// Names end up in SQL paths and in BSON keys: what would be a quote or a path there is refused at start-up.
fn check_fields(schema: &Schema, at: &str) -> Result<(), ConfigError> {
    for Field { name, kind, .. } in &schema.fields {
        let bad = name.is_empty()
            || name.starts_with('$')
            || matches!(&**name, "_id" | "_v" | "_k")
            || name.contains(|c: char| matches!(c, '.' | '"' | '\'' | '\\') || c.is_control());
        if bad {
            return Err(ConfigError::new(format!("{at} has a field named {name:?}, which the stores cannot keep"))
                .cure("use letters, digits and underscores"));
        }
        check_type(kind, &format!("{at}.{name}"))?;
    }
    Ok(())
}

fn check_type(kind: &Type, at: &str) -> Result<(), ConfigError> {
    match kind {
        Type::Optional(inner) => check_type(inner, at),
        Type::List { item, .. } => check_type(item, at),
        Type::Fixed(kinds) => kinds.iter().try_for_each(|kind| check_type(kind, at)),
        Type::Map { value, .. } => check_type(value, at),
        Type::Union(union) => union.alternatives().iter().try_for_each(|kind| check_type(kind, at)),
        Type::Tagged(tagged) => tagged.variants().iter().try_for_each(|variant| check_model(&variant.schema, at)),
        Type::Model(schema) => check_model(schema, at),
        _ => Ok(()),
    }
}

fn check_model(schema: &Nested, at: &str) -> Result<(), ConfigError> {
    // One that holds itself has been looked at.
    if schema.is_back() { Ok(()) } else { check_fields(schema, at) }
}

/// The keys that rows are sorted by: those of the query up to the id, which makes the order total.
pub(super) fn keys(schema: &Schema, query: &Query, id: usize) -> Result<Vec<Sort>, StoreError> {
    let mut keys = Vec::with_capacity(query.sort.len() + 1);
    for key in &query.sort {
        scalar(schema, &key.field.into())?;
        keys.push(*key);
        if key.field == id {
            break;
        }
    }
    if keys.last().is_none_or(|key| key.field != id) {
        keys.push(Sort { field: id, descending: false });
    }
    match &query.after {
        Some(after) if after.len() != keys.len() => {
            Err(StoreError::Internal(format!("a boundary of {} values for {} keys", after.len(), keys.len()).into()))
        }
        _ => Ok(keys),
    }
}

/// The fields on the way to what a query is about.
pub(super) fn fields<'s>(schema: &'s Schema, path: &Path) -> Result<Vec<&'s Field>, StoreError> {
    path.fields(schema).ok_or_else(|| StoreError::Internal(format!("no field {path} in {}", schema.name).into()))
}

/// The type of what is there, without `Optional` around it.
pub(super) fn kind<'s>(schema: &'s Schema, path: &Path) -> Result<&'s Type, StoreError> {
    // A path has at least one field.
    Ok(fields(schema, path)?.last().map_or(&Type::Bool, |field| field.kind.inner().0))
}

/// The type of a scalar, which can be compared or sorted by.
pub(super) fn scalar<'s>(schema: &'s Schema, path: &Path) -> Result<&'s Type, StoreError> {
    match kind(schema, path)? {
        kind if !kind.is_scalar() => {
            Err(StoreError::Internal(format!("field {path} of {} cannot be compared", schema.name).into()))
        }
        kind => Ok(kind),
    }
}

/// That what is there is a dict.
pub(super) fn map(schema: &Schema, path: &Path) -> Result<(), StoreError> {
    match kind(schema, path)? {
        Type::Map { .. } => Ok(()),
        _ => Err(StoreError::Internal(format!("field {path} of {} is no dict", schema.name).into())),
    }
}

/// The type of the items of a list.
pub(super) fn item<'s>(schema: &'s Schema, path: &Path) -> Result<&'s Type, StoreError> {
    match kind(schema, path)? {
        Type::List { item, .. } => Ok(item),
        _ => Err(StoreError::Internal(format!("field {path} of {} is no list", schema.name).into())),
    }
}

/// The version that a new row starts with: the time in microseconds, so that a row which is deleted and made again never
/// repeats a version. No two that a process asks for are the same, so a row can be told from another one's of the same id.
pub(super) fn first_version() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_micros()).unwrap_or(i64::MAX / 2);
    let next = |last: i64| now.max(last.saturating_add(1));
    LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last))).map_or(now, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_start_with_the_same_version() {
        let versions = || (0..10_000).map(|_| first_version()).collect::<Vec<_>>();
        let other = std::thread::spawn(versions);
        let mut all = versions();
        assert!(all.is_sorted());
        all.extend(other.join().unwrap());
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn collections_are_in_snake_case() {
        assert_eq!(collection("User"), "user");
        assert_eq!(collection("BlogPost"), "blog_post");
        assert_eq!(collection("Box[int]"), "box_int_");
        assert_eq!(collection("HTTPLog2Entry"), "httplog2_entry");
    }
}
