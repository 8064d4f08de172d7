//! Fields of which no two rows hold the same values together.

use super::{Schema, suggest};
use crate::ConfigError;

impl Schema {
    /// No two rows may hold the same values in all of these fields: `unique_together(["shelf", "place"])` keeps one book at each place of a
    /// shelf. Rows that hold null in one of them do not count, nor do rows that are marked as deleted.
    ///
    /// Stores keep an index over the fields in this order, so rows are found by the first of them, too.
    ///
    /// # Errors
    /// When there is no such field, fewer than two are named or one twice, one holds no single value, is the id or is unique by itself, or
    /// the fields have such a rule already, in whatever order; when rows are sharded ([`shard_by`](Schema::shard_by)), since MongoDB sees
    /// only within a shard whether values are unique.
    pub fn unique_together(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, ConfigError> {
        let names: Vec<String> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
        self.check_together(&names)?;
        // Which of the fields has it makes no difference.
        if let Some(last) = names.last().and_then(|name| self.field(name)) {
            self.fields[last].together.push(names.iter().map(|name| name.as_str().into()).collect());
        }
        self.check_together_in_shards()?;
        Ok(self)
    }

    fn check_together(&self, names: &[String]) -> Result<(), ConfigError> {
        let model = &self.name;
        let shown = names.join(" and ");
        for (place, name) in names.iter().enumerate() {
            let Some(index) = self.field(name) else {
                let error = ConfigError::new(format!("{model} has no field {name:?} that could be unique with others"));
                return Err(match suggest::closest(name, self.fields.iter().map(|field| &*field.name)) {
                    Some(near) => error.cure(format!("did you mean {near}?")),
                    None => error.cure("name fields of the model"),
                });
            };
            let field = &self.fields[index];
            let wrong = |what: &str, cure: &str| Err(ConfigError::new(format!("{model}.{name} {what}")).cure(cure));
            if names[..place].contains(name) {
                return wrong("is named twice where fields are unique together", "name it once");
            }
            if !field.kind.is_scalar() {
                return wrong(
                    "holds no single value, so it cannot be unique together with others",
                    "name fields that hold one value",
                );
            }
            if self.id == Some(index) || field.index.is_some_and(|index| index.unique) {
                return wrong(
                    &format!("is unique by itself, so {shown} are together, too"),
                    "leave out one of the two rules",
                );
            }
        }
        if names.len() < 2 {
            return Err(ConfigError::new(format!("{model}: {shown:?} is to be unique together with nothing else"))
                .cure("name two fields or more, or give the one a unique index"));
        }
        let is_same = |rule: &Vec<usize>| {
            rule.len() == names.len() && rule.iter().all(|field| names.contains(&self.fields[*field].name.to_string()))
        };
        if self.together().any(|rule| is_same(&rule)) {
            return Err(ConfigError::new(format!("{model}: {shown} are told twice to be unique together"))
                .cure("leave one of the rules out"));
        }
        Ok(())
    }

    /// The rules by which fields are unique together: the indexes of the fields, in the order in which they were named.
    pub fn together(&self) -> impl Iterator<Item = Vec<usize>> {
        let rules = self.fields.iter().flat_map(|field| &field.together);
        rules.map(|names| names.iter().filter_map(|name| self.field(name)).collect())
    }

    /// What fields are called.
    pub(crate) fn names_of(&self, fields: &[usize]) -> Vec<&str> {
        fields.iter().filter_map(|field| self.fields.get(*field)).map(|field| &*field.name).collect()
    }

    /// Refuses rules that name fields which have been taken out, or made into something else, since.
    #[cfg(any(feature = "sqlite", feature = "mongodb"))]
    pub(crate) fn check_rules(&self) -> Result<(), ConfigError> {
        let mut plain = self.clone();
        for field in &mut plain.fields {
            field.together.clear();
        }
        let rules = self.fields.iter().flat_map(|field| &field.together);
        rules.into_iter().try_fold(plain, |schema, names| schema.unique_together(&**names)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(unique: &str) -> Result<Schema, ConfigError> {
        Schema::from_description(&format!(
            r#"{{"name":"Book","id":"id","unique":{unique},"fields":[{{"name":"id","type":{{"type":"uuid"}}}},
            {{"name":"shelf","type":{{"type":"str"}}}},{{"name":"place","type":{{"type":"optional","of":{{"type":"int"}}}}}},
            {{"name":"isbn","type":{{"type":"str"}},"index":{{"unique":true}}}},
            {{"name":"tags","type":{{"type":"list","items":{{"type":"str"}}}}}}]}}"#
        ))
    }

    #[test]
    fn rules_keep_their_order() {
        let schema = book(r#"[["place","shelf"]]"#).unwrap();
        assert_eq!(schema.together().collect::<Vec<_>>(), [[2, 1]]);
        assert_eq!(book("[]").unwrap().together().count(), 0);
    }

    #[test]
    fn mistakes_are_named_with_their_cure() {
        for (unique, told, cure) in [
            (r#"[["shelv","place"]]"#, "Book has no field \"shelv\"", "did you mean shelf?"),
            (r#"[["shelf","weight"]]"#, "Book has no field \"weight\"", "name fields of the model"),
            (r#"[["shelf"]]"#, "Book: \"shelf\" is to be unique together with nothing else", "name two fields"),
            ("[[]]", "Book: \"\" is to be unique together with nothing else", "name two fields"),
            (r#"[["shelf","shelf"]]"#, "Book.shelf is named twice", "name it once"),
            (r#"[["shelf","tags"]]"#, "Book.tags holds no single value", "name fields that hold one value"),
            (r#"[["shelf","id"]]"#, "Book.id is unique by itself, so shelf and id are together, too", "leave out one"),
            (r#"[["isbn","shelf"]]"#, "Book.isbn is unique by itself", "leave out one"),
            (r#"[["shelf","place"],["place","shelf"]]"#, "Book: place and shelf are told twice", "leave one"),
        ] {
            let error = book(unique).unwrap_err().to_string();
            assert!(error.contains(told) && error.contains(cure), "{unique}: {error}");
        }
    }

    #[test]
    fn nested_models_have_no_such_rules() {
        let text = r#"{"name":"A","id":"id","fields":[{"name":"id","type":{"type":"int"}},{"name":"in","type":{"type":"model",
            "schema":{"name":"B","unique":[["x","y"]],"fields":[{"name":"x","type":{"type":"int"}},{"name":"y","type":{"type":"int"}}]}}}]}"#;
        let error = Schema::from_description(text).unwrap_err().to_string();
        assert!(error.contains("B: only fields of rows can be unique together"), "{error}");
    }

    #[test]
    #[cfg(any(feature = "sqlite", feature = "mongodb"))]
    fn a_field_that_has_gone_is_found_out() {
        let mut schema = book(r#"[["shelf","place"]]"#).unwrap();
        assert!(schema.check_rules().is_ok());
        schema.fields.remove(1);
        assert!(schema.check_rules().unwrap_err().to_string().contains("Book has no field \"shelf\""));
    }
}
