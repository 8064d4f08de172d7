//! Whether a store finds the rows of a query through an index, or reads every row.

use super::{Comparison, Expr, Path, Query};
use crate::crud::Schema;

impl Query {
    /// Whether an index or the id narrows what is read, or gives the order of which a page is the beginning.
    pub(crate) fn is_indexed(&self, schema: &Schema) -> bool {
        let is_ordered = self.sort.first().is_some_and(|key| has_whole_index(schema, &Path::from(key.field)));
        narrows(schema, &self.filter) || (is_ordered && self.filter == Expr::True)
    }
}

impl Expr {
    /// Whether an index or the id narrows what is read to find the rows that hold.
    pub(crate) fn is_indexed(&self, schema: &Schema) -> bool {
        narrows(schema, self)
    }
}

fn narrows(schema: &Schema, filter: &Expr) -> bool {
    match filter {
        Expr::And(parts) => parts.iter().any(|part| narrows(schema, part)),
        // None of several narrows unless all of them do; no row at all is found without reading any.
        Expr::Or(parts) => parts.iter().all(|part| narrows(schema, part)),
        Expr::Compare { field, op, .. } => *op != Comparison::Ne && is_found(schema, field),
        Expr::In { field, .. } => is_found(schema, field),
        Expr::IsNull { field } => has_whole_index(schema, field),
        Expr::Like { field, pattern } => {
            let index = schema.fields.get(field.first()).filter(|_| field.is_top()).and_then(|field| field.index);
            index.is_some_and(|index| index.case_insensitive) && pattern.folds() && pattern.is_whole()
        }
        Expr::Search { .. } => true,
        Expr::Caller(never) => match *never {},
        Expr::True | Expr::Not(_) | Expr::Has { .. } | Expr::HasKey { .. } | Expr::Length { .. } => false,
    }
}

fn has_index(schema: &Schema, path: &Path) -> bool {
    let is_indexed = |field: usize| schema.id == Some(field) || schema.fields[field].index.is_some();
    path.is_top() && path.first() < schema.fields.len() && is_indexed(path.first())
}

/// Whether there is an index that begins with the field: its own, or that of a rule over several fields in which every row is.
fn is_found(schema: &Schema, path: &Path) -> bool {
    let begins = |rule: &Vec<usize>| rule.first() == Some(&path.first());
    let is_of_all = |rule: &Vec<usize>| rule.iter().all(|field| !schema.fields[*field].kind.is_nullable());
    let by_rule = || schema.deletion().is_none() && schema.together().any(|rule| begins(&rule) && is_of_all(&rule));
    has_index(schema, path) || (path.is_top() && by_rule())
}

/// Whether there is an index in which every row is: where nulls and rows that are marked as deleted do not count, that of a unique
/// field leaves them out.
fn has_whole_index(schema: &Schema, path: &Path) -> bool {
    let Some(field) = schema.fields.get(path.first()) else { return false };
    let leaves_nulls_out = field.index.is_some_and(|index| index.unique || index.sparse) && field.kind.is_nullable();
    // What keeps a field unique among the rows that are there says nothing of others.
    let is_of_the_living = field.index.is_some_and(|index| index.unique) && schema.deletion().is_some();
    has_index(schema, path) && !leaves_nulls_out && !is_of_the_living
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crud::Sort;

    #[test]
    fn a_query_is_indexed_when_it_need_not_read_every_row() {
        let schema = Schema::from_description(
            r#"{"name":"M","id":"id","fields":[{"name":"id","type":{"type":"int"}},
            {"name":"a","type":{"type":"optional","of":{"type":"int"}},"index":{}},{"name":"b","type":{"type":"int"}},
            {"name":"c","type":{"type":"optional","of":{"type":"int"}},"index":{"unique":true}},
            {"name":"d","type":{"type":"int"},"index":{"unique":true}}]}"#,
        )
        .unwrap();
        let filter = |raw: &str| super::super::filter(&schema, Some(raw), &Default::default()).unwrap();
        for raw in
            ["a=1", "id=in.(1,2)", "a=gt.1&b=2", "a=is.null", "or=(a.eq.1,and(id.eq.2,b.eq.3))", "a=between.(1,2)"]
        {
            assert!(filter(raw).is_indexed(&schema), "{raw}");
        }
        for raw in ["", "c=is.null", "b=1", "a=ne.1", "a=not.eq.1", "or=(a.eq.1,b.eq.2)", "b=in.(1)"] {
            assert!(!filter(raw).is_indexed(&schema), "{raw}");
        }
        let query = |raw: &str, field| Query {
            filter: filter(raw),
            sort: vec![Sort { field, descending: false }],
            limit: 1,
            offset: 0,
            after: None,
        };
        assert!(query("", 0).is_indexed(&schema) && query("", 1).is_indexed(&schema));
        assert!(!query("", 2).is_indexed(&schema) && !query("b=1", 0).is_indexed(&schema));
        assert!(
            query("c=1", 2).is_indexed(&schema)
                && !query("", 3).is_indexed(&schema)
                && query("", 4).is_indexed(&schema)
        );
        assert!(query("a=1", 2).is_indexed(&schema));
    }

    #[test]
    fn a_rule_over_several_fields_finds_rows_by_the_first() {
        let schema = |unique: &str, more: &str| {
            Schema::from_description(&format!(
                r#"{{"name":"M","id":"id","unique":[{unique}],"fields":[{{"name":"id","type":{{"type":"int"}}}},
                {{"name":"a","type":{{"type":"int"}}}},{{"name":"b","type":{{"type":"int"}}}},
                {{"name":"c","type":{{"type":"optional","of":{{"type":"int"}}}}}}{more}]}}"#
            ))
            .unwrap()
        };
        let deletion = r#",{"name":"gone","type":{"type":"optional","of":{"type":"datetime"}},"default":{"value":null},
            "access":"read_only","deletion":true}"#;
        for (unique, more, raw, is_indexed) in [
            (r#"["a","b"]"#, "", "a=1", true),
            (r#"["a","b"]"#, "", "b=1", false),
            (r#"["a","b"]"#, "", "b=1&a=in.(1,2)", true),
            (r#"["a","c"]"#, "", "a=1", false),
            (r#"["a","b"]"#, deletion, "a=1", false),
        ] {
            let schema = schema(unique, more);
            let filter = super::super::filter(&schema, Some(raw), &Default::default()).unwrap();
            assert_eq!(filter.is_indexed(&schema), is_indexed, "{unique} {raw}");
        }
    }
}
