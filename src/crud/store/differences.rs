//! In what two shapes differ, field by field.

use serde_json::Value as Json;

use crate::crud::Schema;
use crate::crud::schema::{Field, Type};

/// A difference, and the path of the field that it is about, with dots between those of nested models.
#[derive(Debug, PartialEq)]
pub(super) enum Difference<'j> {
    /// There is such a field now.
    New(String),
    /// There is none any more.
    Gone(String),
    /// It was of this type and is now of that.
    Type(String, &'j Json, &'j Json),
    /// The model at the path, which is empty for the outermost, keeps members that it does not have, or does so no longer.
    Open(String, bool),
    /// The fields of the model at the path, which is empty for the outermost, are in another order.
    Order(String),
}

/// The differences, in the order of the fields.
pub(super) fn differences<'j>(old: &'j Json, new: &'j Json) -> Vec<Difference<'j>> {
    let mut found = Vec::new();
    walk("", old, new, &mut found);
    found
}

fn walk<'j>(at: &str, old: &'j Json, new: &'j Json, found: &mut Vec<Difference<'j>>) {
    if old == new {
        return;
    }
    for around in ["optional", "list", "dict"] {
        if let (Some(old), Some(new)) = (old.get(around), new.get(around)) {
            return walk(at, old, new, found);
        }
    }
    let (Some(Json::Array(olds)), Some(Json::Array(news))) = (old.get("model"), new.get("model")) else {
        found.push(Difference::Type(at.to_owned(), old, new));
        // One that may be null now may have changed within as well.
        let inner = |kind: &'j Json| kind.get("optional").unwrap_or(kind);
        let (old, new) = (inner(old), inner(new));
        if old.get("model").is_some() && new.get("model").is_some() {
            walk(at, old, new, found);
        }
        return;
    };
    let is_open = new.get("open").is_some();
    if old.get("open").is_some() != is_open {
        found.push(Difference::Open(at.to_owned(), is_open));
    }
    let below = |field: &Json| {
        let name = field[0].as_str().unwrap_or_default();
        if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
    };
    let is_in = |fields: &[Json], field: &Json| fields.iter().any(|other| other[0] == field[0]);
    for field in news {
        match olds.iter().find(|before| before[0] == field[0]) {
            Some(before) => walk(&below(field), &before[1], &field[1], found),
            None => found.push(Difference::New(below(field))),
        }
    }
    let left = olds.iter().filter(|field| is_in(news, field)).map(|field| &field[0]);
    let right = news.iter().filter(|field| is_in(olds, field)).map(|field| &field[0]);
    if !left.eq(right) {
        found.push(Difference::Order(at.to_owned()));
    }
    found.extend(olds.iter().filter(|field| !is_in(news, field)).map(|field| Difference::Gone(below(field))));
}

/// The field at a path.
pub(super) fn field_at<'s>(schema: &'s Schema, path: &str) -> Option<&'s Field> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let field = &schema.fields[schema.field(name)?];
    match rest {
        Some(rest) => field_at(model(&field.kind)?, rest),
        None => Some(field),
    }
}

/// The model that is what a field holds, or an item of it.
fn model(kind: &Type) -> Option<&Schema> {
    match kind.inner().0 {
        Type::Model(schema) => Some(schema),
        Type::List { item, .. } => model(item),
        Type::Map { value, .. } => model(value),
        _ => None,
    }
}

/// A type as Python writes it.
pub(super) fn words(kind: &Json) -> String {
    let all = |kinds: &Json, word: fn(&Json) -> String| {
        kinds.as_array().into_iter().flatten().map(word).collect::<Vec<_>>().join(" | ")
    };
    let Json::Object(members) = kind else {
        return match kind.as_str().unwrap_or("any") {
            "int_text" => "int in a string".into(),
            "date_as_datetime" => "date as a datetime".into(),
            "datetime_us" => "datetime to the microsecond".into(),
            "bytes_base64" => "bytes as base64".into(),
            "bytes_utf8" => "bytes as UTF-8".into(),
            "bytes_hex" => "bytes as hex".into(),
            name => name.to_owned(),
        };
    };
    match members.iter().next() {
        Some((name, inner)) if name == "optional" => format!("{} | None", words(inner)),
        Some((name, inner)) if name == "list" => format!("list[{}]", words(inner)),
        Some((name, Json::Array(inner))) if name == "tuple" => {
            format!("tuple[{}]", inner.iter().map(words).collect::<Vec<_>>().join(", "))
        }
        Some((name, inner)) if name == "dict" => format!("dict[str, {}]", words(inner)),
        Some((name, inner)) if matches!(&**name, "union" | "one") => all(inner, words),
        Some((name, inner)) if name == "back" => inner.as_str().unwrap_or_default().to_owned(),
        Some((name, _)) if name == "model" => "a model".into(),
        _ => "a union of models".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_found_at_each_depth() {
        let model = |fields: Json| json!({ "model": fields });
        let old = model(json!([["id", "int"], ["gone", "str"], ["home", { "list": model(json!([["city", "str"]])) }]]));
        let home = model(json!([["city", { "optional": "str" }], ["zip", "int"]]));
        let new = model(json!([["id", "int"], ["home", { "list": home }], ["age", "int"]]));
        let (text, optional) = (json!("str"), json!({ "optional": "str" }));
        assert_eq!(differences(&old, &old), []);
        assert_eq!(
            differences(&old, &new),
            [
                Difference::Type("home.city".into(), &text, &optional),
                Difference::New("home.zip".into()),
                Difference::New("age".into()),
                Difference::Gone("gone".into()),
            ]
        );
        let turned = model(json!([["b", "int"], ["a", "str"]]));
        let there = model(json!([["a", "str"], ["c", "bool"], ["b", "int"]]));
        assert_eq!(differences(&turned, &there), [Difference::New("c".into()), Difference::Order(String::new())]);
        assert_eq!(words(&json!({ "list": "int_text" })), "list[int in a string]");
        assert_eq!(words(&json!({ "optional": { "union": ["int", { "list": "str" }] } })), "int | list[str] | None");
    }

    #[test]
    fn a_model_that_may_be_null_is_looked_into() {
        let place = |fields: Json| json!({ "model": fields });
        let old = place(json!([["home", place(json!([["a", "int"]]))]]));
        let new = place(json!([["home", { "optional": place(json!([["a", "float"]])) }]]));
        let found = differences(&old, &new);
        assert!(matches!(&found[0], Difference::Type(path, ..) if path == "home"));
        assert!(matches!(&found[1], Difference::Type(path, ..) if path == "home.a"));
    }
}
