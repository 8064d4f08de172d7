//! The shape of a schema, as it is kept beside the rows, and whether rows of one shape can be read by another.

use serde_json::{Value as Json, json};

use crate::crud::json::write_value;
use crate::crud::schema::{BytesForm, LegacyUuid, Nested, Type};
use crate::crud::{Schema, Value};

/// `{"model":[["id","uuid"],["age",{"optional":"int"}]]}`, and `"open":true` where members are kept that are no fields. Bounds and patterns are left out: they concern new rows only.
pub(super) fn of(schema: &Schema) -> Json {
    let fields: Vec<_> = schema.fields.iter().map(|field| json!([&*field.name, of_type(&field.kind)])).collect();
    match schema.is_open() {
        true => json!({ "model": fields, "open": true }),
        false => json!({ "model": fields }),
    }
}

/// The names of the fields of a shape.
#[cfg(feature = "sqlite")]
pub(super) fn fields(shape: &Json) -> Vec<String> {
    let fields = shape.get("model").and_then(Json::as_array).into_iter().flatten();
    fields.filter_map(|field| Some(field.get(0)?.as_str()?.to_owned())).collect()
}

fn of_type(kind: &Type) -> Json {
    match kind {
        Type::Bool => json!("bool"),
        Type::Int(_) => json!("int"),
        Type::IntText(_) => json!("int_text"),
        Type::Float(_) => json!("float"),
        Type::Str(_) => json!("str"),
        Type::Uuid => json!("uuid"),
        Type::LegacyUuid(order) => json!(match order {
            LegacyUuid::Python => "uuid_python",
            LegacyUuid::Java => "uuid_java",
            LegacyUuid::CSharp => "uuid_csharp",
        }),
        Type::ObjectId => json!("object_id"),
        Type::DateTime(_) => json!("datetime"),
        Type::Micros(_) => json!("datetime_us"),
        Type::Date(_) => json!("date"),
        Type::Midnight(_) => json!("date_as_datetime"),
        Type::Time(_) => json!("time"),
        Type::Duration(_) => json!("timedelta"),
        Type::Decimal(_) => json!("decimal"),
        Type::OneOf { values, .. } => {
            let mut kinds: Vec<_> = values.iter().map(kind_of_value).collect();
            kinds.sort_unstable();
            kinds.dedup();
            match kinds[..] {
                // An enum of strings may become a plain string and back.
                [kind] => json!(kind),
                _ => json!({ "one": kinds }),
            }
        }
        Type::Optional(_) => json!({ "optional": of_type(kind.inner().0) }),
        Type::List { item, .. } => json!({ "list": of_type(item) }),
        Type::Fixed(kinds) => json!({ "tuple": kinds.iter().map(of_type).collect::<Vec<_>>() }),
        Type::Model(schema) => of_nested(schema),
        Type::Map { value, .. } => json!({ "dict": of_type(value) }),
        Type::Bytes { form, .. } => json!(match form {
            BytesForm::UrlSafe => "bytes",
            BytesForm::Base64 => "bytes_base64",
            BytesForm::Utf8 => "bytes_utf8",
            BytesForm::Hex => "bytes_hex",
        }),
        Type::Union(union) => json!({ "union": union.alternatives().iter().map(of_type).collect::<Vec<_>>() }),
        Type::Tagged(tagged) => {
            let variants = tagged.variants().iter().map(|variant| {
                let tags: Vec<_> = variant.tags.iter().map(|tag| text_of(&variant.schema, tagged.tag(), tag)).collect();
                json!([tags, of_nested(&variant.schema)])
            });
            json!({ "tag": tagged.tag(), "variants": variants.collect::<Vec<_>>() })
        }
        Type::Any => json!("any"),
    }
}

fn of_nested(schema: &Nested) -> Json {
    if schema.is_back() { json!({ "back": schema.name }) } else { of(schema) }
}

/// A tag as JSON.
fn text_of(schema: &Schema, tag: &str, value: &Value<'_>) -> Json {
    let mut text = Vec::new();
    if let Some(index) = schema.field(tag) {
        write_value(&mut text, &schema.fields[index].kind, value);
    }
    serde_json::from_slice(&text).unwrap_or_default()
}

fn kind_of_value(value: &Value<'_>) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        _ => "str",
    }
}

/// What stands in the way of reading rows of shape `old` as shape `new`, or nothing. Fields that may be missing or null
/// where they should not are a matter of the rows and found there.
pub(super) fn conflict(at: &str, old: &Json, new: &Json) -> Option<String> {
    if old == new {
        return None;
    }
    if let Some(inner) = new.get("optional") {
        return conflict(at, old.get("optional").unwrap_or(old), inner);
    }
    if let Some(inner) = old.get("optional") {
        return conflict(at, inner, new);
    }
    for around in ["list", "dict"] {
        if let (Some(old), Some(new)) = (old.get(around), new.get(around)) {
            return conflict(at, old, new);
        }
    }
    if let (Some(Json::Array(old)), Some(Json::Array(new))) = (old.get("model"), new.get("model")) {
        return new.iter().find_map(|field| {
            let before = old.iter().find(|before| before[0] == field[0])?;
            conflict(&format!("{at}.{}", field[0].as_str().unwrap_or_default()), &before[1], &field[1])
        });
    }
    if let (Some(Json::Array(olds)), Some(Json::Array(news))) = (old.get("tuple"), new.get("tuple"))
        && olds.len() == news.len()
    {
        return olds.iter().zip(news).find_map(|(old, new)| conflict(at, old, new));
    }
    let written = [old, new].map(|kind| kind.as_str().unwrap_or_default());
    if let ["int", "float" | "int_text"] | ["int_text", "int"] = written {
        return None;
    }
    if let Some(Json::Array(olds)) = old.get("union") {
        return olds.iter().find_map(|old| conflict(at, old, new));
    }
    if let Some(Json::Array(news)) = new.get("union")
        // Of a text it is not known whether it is an int's.
        && news.iter().any(|new| conflict(at, old, new).is_none() && (old != "int_text" || new == "int_text"))
    {
        return None;
    }
    if let (Some(Json::Array(olds)), Some(Json::Array(news))) = (old.get("variants"), new.get("variants"))
        && old["tag"] == new["tag"]
    {
        let tags = |variant: &Json| variant[0].as_array().cloned().unwrap_or_default();
        return olds.iter().find_map(|old| {
            tags(old).iter().find_map(|tag| match news.iter().find(|new| tags(new).contains(tag)) {
                Some(new) => conflict(&format!("{at}[{tag}]"), &old[1], &new[1]),
                None => Some(format!("{at} has lost its model for {tag}")),
            })
        });
    }
    Some(format!("{at} was {old} and is now {new}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wider_types_fit_and_others_do_not() {
        let model = |kind: Json| json!({ "model": [["a", kind]] });
        let fits = |old: Json, new: Json| conflict("M", &model(old), &model(new)).is_none();
        assert!(fits(json!("int"), json!("float")));
        assert!(fits(json!("int"), json!({ "optional": "int" })));
        assert!(fits(json!({ "optional": "int" }), json!({ "optional": "float" })));
        assert!(fits(json!("int_text"), json!("int")) && fits(json!("int"), json!({ "optional": "int_text" })));
        assert!(!fits(json!("float"), json!("int")) && !fits(json!("int_text"), json!("float")));
        assert!(!fits(json!("str"), json!("uuid")));
        assert!(!fits(json!({ "list": "str" }), json!("str")));
        assert!(fits(model(json!("str")), json!({ "model": [["b", "int"]] })));
        let union = |kinds: &[&str]| json!({ "union": kinds });
        assert!(fits(json!("int"), union(&["int", "str"])));
        assert!(fits(json!("int"), union(&["str", "float"])));
        assert!(fits(union(&["int", "str"]), union(&["str", "bool", "int"])));
        assert!(!fits(union(&["int", "str"]), union(&["int", "bool"])));
        assert!(!fits(union(&["int", "str"]), json!("int")));
        assert!(
            !fits(json!("int_text"), union(&["int", "str"])) && fits(json!("int_text"), union(&["int_text", "bool"]))
        );
        let tagged = |variants: Json| json!({ "tag": "kind", "variants": variants });
        let one = || json!([["a"], model(json!("int"))]);
        assert!(fits(tagged(json!([one()])), tagged(json!([[["b"], model(json!("str"))], one()]))));
        assert!(fits(tagged(json!([one()])), tagged(json!([[["b", "a"], model(json!("float"))]]))));
        assert!(!fits(tagged(json!([one()])), tagged(json!([[["b"], model(json!("int"))]]))));
        assert!(!fits(tagged(json!([one()])), tagged(json!([[["a"], model(json!("str"))]]))));
        assert!(!fits(model(json!("int")), tagged(json!([one()]))));
        assert!(!fits(model(json!("str")), model(json!("int"))));
    }
}
