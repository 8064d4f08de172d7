//! `GET /order/_group?by=status&agg=count,sum(price)`

use std::sync::Arc;

use http::StatusCode;

use super::answer;
use crate::crud::etag::{self, Condition};
use crate::crud::query::{Aggregate, Dimension, Grouping, Path};
use crate::crud::schema::{Schema, Type};
use crate::crud::service::Served;
use crate::crud::store::Groups;
use crate::crud::{Collection, Expr, Value, json, query};
use crate::service::Problem;
use crate::{Request, Response};

pub(in crate::crud) async fn group<C: Collection>(
    served: Arc<Served<C>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let mut grouping = query::grouping(&served.schema, parts.uri.query(), &served.list)?;
    let asked = std::mem::replace(&mut grouping.filter, Expr::True);
    let is_whole = asked == Expr::True;
    grouping.filter = asked.and(served.readable(&parts));
    // Everything is read through no index because everything is wanted.
    served.check_indexed(|| is_whole || grouping.filter.is_indexed(&served.schema))?;
    let none_match = Condition::if_none_match(&parts.headers)?;
    let groups = served.done(served.collection.group(grouping.clone()).await)?;
    let body = written(&served.schema, &grouping, &groups);
    let tag = etag::of_bytes(&body);
    if none_match.is_some_and(|condition| etag::is_listed(&condition, &tag)) {
        return Ok(answer::not_modified(tag));
    }
    Ok(answer::document(StatusCode::OK, body.into(), tag))
}

/// `{"items":[{"by":{"status":"paid"},"count":2,"sum(price)":"7.5"}],"more":false}`
fn written(schema: &Schema, grouping: &Grouping, groups: &Groups) -> Vec<u8> {
    let by = |by: &Dimension| (by.name(schema), by.part.is_none().then(|| kind(schema, &by.path)).flatten());
    let of = |own: &Aggregate| match own {
        Aggregate::Of(_, path) => (own.name(schema), kind(schema, path)),
        Aggregate::Count => (own.name(schema), None),
    };
    let names: Vec<_> = grouping.by.iter().map(by).collect();
    let computed: Vec<_> = grouping.aggregates.iter().map(of).collect();
    let mut out = b"{\"items\":[".to_vec();
    for (index, row) in groups.rows.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",{\"by\":{" } else { b"{\"by\":{" });
        for (index, ((name, kind), value)) in names.iter().zip(row).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            member(&mut out, name);
            write(&mut out, value, *kind);
        }
        out.push(b'}');
        for ((name, kind), value) in computed.iter().zip(row.iter().skip(names.len())) {
            out.push(b',');
            member(&mut out, name);
            write(&mut out, value, *kind);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"],\"more\":");
    out.extend_from_slice(if groups.more { b"true}" } else { b"false}" });
    out
}

fn member(out: &mut Vec<u8>, name: &str) {
    json::write_str(out, name);
    out.push(b':');
}

/// Decimals are written without zeros at their end; a sum of ints is a number, whatever it is computed in.
fn write(out: &mut Vec<u8>, value: &Value<'_>, kind: Option<&Type>) {
    match (value, kind) {
        (Value::Decimal(x), Some(Type::Int(_))) => out.extend_from_slice(x.plain().as_bytes()),
        (Value::Decimal(x), _) => json::write_str(out, &x.plain()),
        (value, Some(kind)) => json::write_value(out, kind, value),
        (value, None) => json::write_scalar(out, value),
    }
}

fn kind<'s>(schema: &'s Schema, path: &Path) -> Option<&'s Type> {
    Some(path.fields(schema)?.last()?.kind.inner().0)
}
