//! What is shown of a row: all that clients see, or the fields of it that `?fields=` names.

use std::fmt::{self, Write as _};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Path;
use crate::crud::json;
use crate::crud::schema::{Schema, Type};

/// A choice of fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Everything that clients see.
    All,
    /// These fields, given by index in the order of the schema, and what is shown of the model in each.
    Some(Vec<(usize, Self)>),
}

impl Shown {
    /// The smallest choice that holds all `paths`.
    pub(super) fn of(paths: impl IntoIterator<Item = Path>) -> Self {
        let mut shown = Self::Some(Vec::new());
        for path in paths {
            shown.add(path.first(), path.below());
        }
        shown
    }

    fn add(&mut self, first: usize, below: &[usize]) {
        let Self::Some(fields) = self else { return };
        let at = fields.binary_search_by_key(&first, |(index, _)| *index).unwrap_or_else(|at| {
            fields.insert(at, (first, Self::Some(Vec::new())));
            at
        });
        match below {
            [] => fields[at].1 = Self::All,
            [next, rest @ ..] => fields[at].1.add(*next, rest),
        }
    }

    /// The paths of what is shown, in the order of the schema; the same text for the same choice.
    pub(crate) fn text(&self, schema: &Schema) -> String {
        let mut text = String::new();
        self.write(schema, "", &mut text);
        text
    }

    fn write(&self, schema: &Schema, before: &str, text: &mut String) {
        let Self::Some(fields) = self else { return };
        for (index, inner) in fields {
            let Some(field) = schema.fields.get(*index) else { continue };
            let name = format!("{before}{}", field.name);
            match (inner, field.kind.inner().0) {
                (Self::Some(_), Type::Model(model)) => inner.write(model, &format!("{name}."), text),
                // Writing to a string cannot fail.
                _ => drop(write!(text, "{name},")),
            }
        }
    }

    /// Whether rows are shown as they are kept.
    pub(crate) fn is_whole(&self, schema: &Schema) -> bool {
        *self == Self::All && !schema.has_unseen()
    }

    /// What is shown of the JSON of one row.
    ///
    /// # Errors
    /// When it is no JSON.
    pub(crate) fn row(&self, schema: &Schema, json: &[u8]) -> serde_json::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(json.len());
        let mut reader = serde_json::Deserializer::from_slice(json);
        Model { schema, shown: self, out: &mut out }.deserialize(&mut reader)?;
        Ok(out)
    }

    /// What is shown of the JSON of an array of rows, joined by commas.
    ///
    /// # Errors
    /// When it is no JSON.
    pub(crate) fn rows(&self, schema: &Schema, json: &[u8]) -> serde_json::Result<Vec<u8>> {
        self.separated(schema, json, b',')
    }

    /// What is shown of the JSON of an array of rows, each on a line of its own.
    ///
    /// # Errors
    /// When it is no JSON.
    pub(crate) fn lines(&self, schema: &Schema, json: &[u8]) -> serde_json::Result<Vec<u8>> {
        let mut lines = self.separated(schema, json, b'\n')?;
        if !lines.is_empty() {
            lines.push(b'\n');
        }
        Ok(lines)
    }

    fn separated(&self, schema: &Schema, json: &[u8], separator: u8) -> serde_json::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(json.len());
        let mut reader = serde_json::Deserializer::from_slice(json);
        Rows { schema, shown: self, separator, out: &mut out }.deserialize(&mut reader)?;
        Ok(out)
    }
}

struct Rows<'a> {
    schema: &'a Schema,
    shown: &'a Shown,
    separator: u8,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Rows<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        loop {
            let before = self.out.len();
            if before > 0 {
                self.out.push(self.separator);
            }
            let model = Model { schema: self.schema, shown: self.shown, out: self.out };
            if rows.next_element_seed(model)?.is_none() {
                self.out.truncate(before);
                return Ok(());
            }
        }
    }
}

struct Model<'a> {
    schema: &'a Schema,
    shown: &'a Shown,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Model<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        match self.shown.is_whole(self.schema) {
            true => {
                let json: &RawValue = serde::Deserialize::deserialize(from)?;
                self.out.extend_from_slice(json.get().as_bytes());
                Ok(())
            }
            false => from.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Model<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} or null", self.schema.name)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.out.push(b'{');
        let mut first = true;
        while let Some(found) = members.next_key_seed(Member { schema: self.schema, shown: self.shown })? {
            if found != Found::Unseen && !std::mem::take(&mut first) {
                self.out.push(b',');
            }
            let nested = match found {
                Found::Unseen => {
                    members.next_value::<serde::de::IgnoredAny>()?;
                    continue;
                }
                Found::Field(index, inner) => {
                    let field = &self.schema.fields[index];
                    self.out.extend_from_slice(field.key());
                    match field.kind.inner().0 {
                        Type::Model(model) => Some((&**model, inner)),
                        _ => None,
                    }
                }
                Found::Extra(name) => {
                    json::write_str(self.out, &name);
                    self.out.push(b':');
                    None
                }
            };
            match nested {
                Some((schema, shown)) => members.next_value_seed(Model { schema, shown, out: self.out })?,
                None => self.out.extend_from_slice(members.next_value::<&RawValue>()?.get().as_bytes()),
            }
        }
        self.out.push(b'}');
        Ok(())
    }
}

/// What a member is.
#[derive(PartialEq)]
enum Found<'a> {
    /// The field with this index, and what is shown of it.
    Field(usize, &'a Shown),
    /// One that is no field.
    Extra(String),
    Unseen,
}

/// The name of a member.
struct Member<'a> {
    schema: &'a Schema,
    shown: &'a Shown,
}

impl<'de, 'a> DeserializeSeed<'de> for Member<'a> {
    type Value = Found<'a>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Member<'a> {
    type Value = Found<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let is = |index: usize| self.schema.fields.get(index).is_some_and(|field| *field.name == *name);
        Ok(match self.shown {
            Shown::All => match self.schema.field(name) {
                Some(index) if self.schema.fields[index].access.is_shown() => Found::Field(index, &Shown::All),
                None if self.schema.is_open() => Found::Extra(name.to_owned()),
                _ => Found::Unseen,
            },
            Shown::Some(fields) => fields
                .iter()
                .find(|(index, _)| is(*index))
                .map_or(Found::Unseen, |(index, inner)| Found::Field(*index, inner)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"name":"A","id":"id","fields":[{"name":"id","type":{"type":"int"}},{"name":"tags","type":{"type":"list","items":{"type":"str"}}},
      {"name":"home","type":{"type":"optional","of":{"type":"model","schema":{"name":"H","fields":[{"name":"city","type":{"type":"str"}},{"name":"zip","type":{"type":"str"}}]}}}}]}"#;

    fn shown(schema: &Schema, names: &[&str]) -> Shown {
        Shown::of(names.iter().map(|name| Path::read(schema, name).unwrap().0))
    }

    #[test]
    fn chosen_fields_are_shown_as_they_are() {
        let schema = Schema::from_description(SCHEMA).unwrap();
        let row = r#"{"id":1,"tags":["a,{\"","b"],"home":{"city":"\"zip\":","zip":"7"}}"#;
        for (names, expected) in [
            (vec!["id"], r#"{"id":1}"#),
            (vec!["home.city", "id"], r#"{"id":1,"home":{"city":"\"zip\":"}}"#),
            (vec!["tags"], r#"{"tags":["a,{\"","b"]}"#),
            (vec!["home", "home.city"], r#"{"home":{"city":"\"zip\":","zip":"7"}}"#),
            (vec!["home.city", "home"], r#"{"home":{"city":"\"zip\":","zip":"7"}}"#),
        ] {
            let found = shown(&schema, &names).row(&schema, row.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(found).unwrap(), expected, "{names:?}");
        }
        let homes = shown(&schema, &["home.zip"]);
        let found = homes.rows(&schema, format!(r#"[{row},{{"id":2,"tags":[],"home":null}}]"#).as_bytes()).unwrap();
        assert_eq!(String::from_utf8(found).unwrap(), r#"{"home":{"zip":"7"}},{"home":null}"#);
        assert_eq!(homes.rows(&schema, b"[]").unwrap(), b"");
        assert_eq!(homes.lines(&schema, b"[]").unwrap(), b"");
        assert_eq!(Shown::All.lines(&schema, br#"[{"id":1},{"id":2}]"#).unwrap(), b"{\"id\":1}\n{\"id\":2}\n");
    }

    #[test]
    fn one_choice_has_one_text() {
        let schema = Schema::from_description(SCHEMA).unwrap();
        let text = |names: &[&str]| shown(&schema, names).text(&schema);
        assert_eq!(text(&["home.zip", "id", "id"]), "id,home.zip,");
        assert_eq!(text(&["home.zip", "home"]), text(&["home"]));
        assert_ne!(text(&["id"]), text(&["tags"]));
    }
}
