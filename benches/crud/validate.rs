//! What it costs to validate a field, type by type, beside what serde derives for the same document; README.md says how it is measured.

mod nowhere;
mod peer;

use std::error::Error;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use futures_util::FutureExt;
use serde::de::DeserializeOwned;
use ziggurat::crud::{Decimal, Rows, Schema};

use nowhere::Nowhere;
use peer::{Address, Alone, Dict, Parsed, Sixteen, State};

type Failure = Box<dyn Error>;

const FIELDS: usize = 16;

/// A type, a value of it, and how many values of it that counts for.
struct Subject {
    name: &'static str,
    kind: &'static str,
    json: &'static str,
    parts: usize,
    peer: fn(&[u8]) -> bool,
}

fn reads<T: DeserializeOwned>(json: &[u8]) -> bool {
    serde_json::from_slice::<T>(json).is_ok_and(|value| {
        drop(black_box(value));
        true
    })
}

const SUBJECTS: [Subject; 11] = [
    Subject {
        name: "str",
        kind: r#"{"type": "str", "min_length": 1, "max_length": 100}"#,
        json: r#""Grace Hopper""#,
        parts: 1,
        peer: reads::<Sixteen<String>>,
    },
    Subject {
        name: "int",
        kind: r#"{"type": "int", "ge": 0, "le": 150}"#,
        json: "37",
        parts: 1,
        peer: reads::<Sixteen<i64>>,
    },
    Subject {
        name: "float",
        kind: r#"{"type": "float", "ge": 0}"#,
        json: "98.5",
        parts: 1,
        peer: reads::<Sixteen<f64>>,
    },
    Subject {
        name: "uuid",
        kind: r#"{"type": "uuid"}"#,
        json: r#""0197c2a4-6f3e-7a52-8d5e-2b9c1f0a4e77""#,
        parts: 1,
        peer: reads::<Sixteen<Parsed<uuid::Uuid>>>,
    },
    Subject {
        name: "datetime",
        kind: r#"{"type": "datetime"}"#,
        json: r#""2026-11-29T12:34:56.789Z""#,
        parts: 1,
        peer: reads::<Sixteen<Parsed<speedate::DateTime>>>,
    },
    Subject {
        name: "date",
        kind: r#"{"type": "date"}"#,
        json: r#""2026-11-29""#,
        parts: 1,
        peer: reads::<Sixteen<Parsed<speedate::Date>>>,
    },
    Subject {
        name: "decimal",
        kind: r#"{"type": "decimal", "max_digits": 10, "decimal_places": 2}"#,
        json: r#""1234.50""#,
        parts: 1,
        peer: reads::<Sixteen<Parsed<Decimal>>>,
    },
    Subject {
        name: "enum",
        kind: r#"{"type": "enum", "values": ["new", "paid", "sent", "done"]}"#,
        json: r#""sent""#,
        parts: 1,
        peer: reads::<Sixteen<State>>,
    },
    Subject {
        name: "list of int, per item",
        kind: r#"{"type": "list", "items": {"type": "int", "ge": 0}}"#,
        json: "[10,11,12,13,14,15,16,17,18,19]",
        parts: 10,
        peer: reads::<Sixteen<Vec<i64>>>,
    },
    Subject {
        name: "model of two str",
        kind: r#"{"type": "model", "schema": {"name": "Address", "fields": [
            {"name": "street", "type": {"type": "str"}}, {"name": "city", "type": {"type": "str"}}]}}"#,
        json: r#"{"street":"1 Harbour Road","city":"Arlington"}"#,
        parts: 1,
        peer: reads::<Sixteen<Address>>,
    },
    Subject {
        name: "dict of three int",
        kind: r#"{"type": "dict", "values": {"type": "int"}}"#,
        json: r#"{"first":1,"second":2,"third":3}"#,
        parts: 1,
        peer: reads::<Sixteen<Dict>>,
    },
];

/// The rows of a model with an id and so many fields of a type.
fn rows(kind: &str, fields: usize) -> Result<Rows<Nowhere>, Failure> {
    let fields: String = (0..fields).map(|n| format!(r#", {{"name": "field_{n}", "type": {kind}}}"#)).collect();
    let description =
        format!(r#"{{"name": "Row", "id": "id", "fields": [{{"name": "id", "type": {{"type": "int"}}}}{fields}]}}"#);
    Ok(Rows::new(Arc::new(Schema::from_description(&description)?), Nowhere)?)
}

fn document(json: &str, fields: usize) -> Vec<u8> {
    let fields: String = (0..fields).map(|n| format!(r#","field_{n}":{json}"#)).collect();
    format!(r#"{{"id":1{fields}}}"#).into_bytes()
}

/// Nothing is waited for, so the first poll is the last.
fn is_valid(rows: &Rows<Nowhere>, json: &[u8]) -> bool {
    rows.insert(json).now_or_never().is_some_and(|inserted| inserted.is_ok())
}

fn measure(
    criterion: &mut Criterion,
    name: &str,
    rows: &Rows<Nowhere>,
    peer: fn(&[u8]) -> bool,
    json: &[u8],
) -> Result<(), Failure> {
    if !is_valid(rows, json) || !peer(json) {
        return Err(format!("{name} is refused: {}", String::from_utf8_lossy(json)).into());
    }
    let mut group = criterion.benchmark_group(name);
    group.bench_function("ziggurat", |bench| bench.iter(|| is_valid(rows, black_box(json))));
    group.bench_function("serde", |bench| bench.iter(|| peer(black_box(json))));
    group.finish();
    Ok(())
}

/// The nanoseconds that criterion found, if it has measured.
fn found(name: &str, side: &str) -> Option<f64> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let file = target.join("criterion").join(name).join(side).join("new/estimates.json");
    let estimates: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    estimates.get("median")?.get("point_estimate")?.as_f64()
}

fn print_table() {
    let (Some(ours), Some(theirs)) = (found("nothing", "ziggurat"), found("nothing", "serde")) else { return };
    println!("\n| field | ziggurat ns | serde ns | ratio |\n|---|---:|---:|---:|");
    for Subject { name, parts, .. } in &SUBJECTS {
        let (Some(own), Some(peer)) = (found(name, "ziggurat"), found(name, "serde")) else { continue };
        let values = (FIELDS * parts) as f64;
        let (own, peer) = ((own - ours) / values, (peer - theirs) / values);
        println!("| {name} | {own:.1} | {peer:.1} | {:.2} |", own / peer);
    }
    println!("\na document with nothing but its id: {ours:.0} ns, {theirs:.0} ns by serde");
}

fn main() -> Result<(), Failure> {
    let settings = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    let mut criterion = settings.configure_from_args();
    measure(&mut criterion, "nothing", &rows("", 0)?, reads::<Alone>, &document("", 0))?;
    for subject in &SUBJECTS {
        let rows = rows(subject.kind, FIELDS)?;
        measure(&mut criterion, subject.name, &rows, subject.peer, &document(subject.json, FIELDS))?;
    }
    criterion.final_summary();
    print_table();
    Ok(())
}
