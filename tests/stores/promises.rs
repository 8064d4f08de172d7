//! What every store promises, one function each, told of any store.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt;
use uuid::Uuid;
use ziggurat::crud::schema::{Access, Bounds, ChoiceSort, DefaultValue, Field, LegacyUuid, Naive, Text, Type, Unknown};
use ziggurat::crud::store::sqlite::{SqliteOptions, SqliteStore};
use ziggurat::crud::store::{
    Change, Changes, ChangesError, Collection, Expect, Key, Many, Once, Outcome, Refusal, Row, RowError, Store,
    StoreError, Write, WriteError,
};
use ziggurat::crud::{Comparison, CopyError, Expr, Pattern, Query, Rows, RowsError, Schema, Sort, Value, copy_rows};

use crate::rows::*;

fn object(row: &[Value<'static>]) -> Value<'static> {
    Value::Object(row.to_vec())
}

fn all(limit: usize) -> Query {
    Query { filter: Expr::True, sort: vec![Sort { field: ID, descending: false }], limit, offset: 0, after: None }
}

fn string(row: &Row) -> &str {
    std::str::from_utf8(&row.json).unwrap()
}

async fn open<S: Store>(store: &S, name: &str) -> (S::Collection, Arc<Schema>) {
    let schema = schema(name);
    (store.open(Arc::clone(&schema)).await.unwrap(), schema)
}

/// Create, read, replace, change, delete.
pub async fn crud<S: Store>(store: S) {
    let (rows, schema) = open(&store, "Crud").await;
    let mut random = Random(1);
    let mut row = row(&mut random);
    let id = row[ID].clone();
    assert_eq!(rows.get(id.clone(), Expr::True).await.unwrap(), None);
    let made = rows.insert(object(&row)).await.unwrap();
    assert_eq!(string(&made), text_of(&schema, &row));
    assert!(made.version > 1_600_000_000_000_000, "versions start at the time in microseconds");
    assert_eq!(rows.get(id.clone(), Expr::True).await.unwrap().unwrap(), made);

    row[NAME] = text("new");
    row[TAGS] = Value::List(vec![]);
    row[PLACE] = Value::Null;
    let Outcome::Done(replaced) = rows.replace(object(&row), Expect::any()).await.unwrap() else {
        panic!("not replaced")
    };
    assert_eq!(replaced.version, made.version + 1);
    assert_eq!(string(&replaced), text_of(&schema, &row));
    assert_eq!(rows.get(id.clone(), Expr::True).await.unwrap().unwrap(), replaced);

    row[AGE] = Value::Int(i64::MAX);
    row[PLACE] = Value::Object(vec![text("$x"), Value::Null, Value::DateTime(0)]);
    row[NICK] = text("$name");
    let changes = [AGE, PLACE, NICK].map(|field| (field, row[field].clone())).to_vec();
    let Outcome::Done(changed) = rows.update(id.clone(), changes, Expect::any()).await.unwrap() else {
        panic!("not changed")
    };
    assert_eq!(changed.version, made.version + 2);
    assert_eq!(string(&changed), text_of(&schema, &row));
    let Outcome::Done(same) = rows.update(id.clone(), vec![], Expect::any()).await.unwrap() else {
        panic!("not changed")
    };
    assert_eq!((same.version, same.json), (made.version + 3, changed.json));

    assert_eq!(rows.count(Expr::True).await.unwrap(), 1);
    assert_eq!(rows.delete(id.clone(), Expect::any()).await.unwrap(), Outcome::Done(()));
    assert_eq!(rows.get(id.clone(), Expr::True).await.unwrap(), None);
    assert_eq!(rows.delete(id.clone(), Expect::any()).await.unwrap(), Outcome::NotFound);
    assert_eq!(rows.replace(object(&row), Expect::any()).await.unwrap(), Outcome::NotFound);
    assert_eq!(rows.update(id, vec![(AGE, Value::Int(1))], Expect::any()).await.unwrap(), Outcome::NotFound);
    assert_eq!(rows.count(Expr::True).await.unwrap(), 0);
}

/// Code reads and writes JSON, and what breaks the rules is not kept.
pub async fn code<S: Store>(store: S) {
    let (collection, schema) = open(&store, "Code").await;
    let rows = Rows::new(Arc::clone(&schema), collection).unwrap();
    let mut random = Random(5);
    let written = [(); 3].map(|()| text_of(&schema, &row(&mut random)).into_bytes());
    let made = rows.insert(&written[0]).await.unwrap();
    assert_eq!(made.json, written[0]);
    rows.insert_all(&written[1..]).await.unwrap();
    assert_eq!(rows.count(Expr::True).await.unwrap(), 3);

    let id = serde_json::from_slice::<serde_json::Value>(&written[0]).unwrap()["id"].to_string();
    assert_eq!(rows.get(id.as_bytes()).await.unwrap().unwrap(), made);
    let RowsError::Invalid(wrong) = rows.get(b"7").await.unwrap_err() else { panic!("it is no id") };
    assert_eq!(wrong, "7 is no id of Code: it must be a UUID in a string");

    let Outcome::Done(again) = rows.replace(&written[0], Some(made.version)).await.unwrap() else {
        panic!("not replaced")
    };
    assert_eq!(again.version, made.version + 1);
    assert_eq!(rows.replace(&written[0], Some(made.version)).await.unwrap(), Outcome::Changed);
    let RowsError::Invalid(wrong) = rows.insert(br#"{"name": 1}"#).await.unwrap_err() else { panic!("it is no row") };
    assert!(wrong.starts_with("the Code breaks the rules of its model: "), "{wrong}");
    let taken = rows.insert_all(&[written[0].clone(), written[1].clone()]).await.unwrap_err();
    assert!(matches!(taken, RowsError::Store(StoreError::Duplicate { .. })));

    let mut walk = rows.find(Expr::True, &["-name".into()], 1, 10, 1).unwrap();
    let mut pages = 0;
    while let Some(page) = walk.next().await.unwrap() {
        assert_eq!(page.versions.len(), 1);
        pages += 1;
    }
    assert!(walk.is_over() && pages == 2);
    assert!(rows.find(Expr::True, &["tags".into()], 0, 10, 1).is_err());

    assert_eq!(rows.delete(id.as_bytes(), Some(made.version)).await.unwrap(), Outcome::Changed);
    assert_eq!(rows.delete(id.as_bytes(), Some(again.version)).await.unwrap(), Outcome::Done(()));
    assert_eq!(rows.delete(id.as_bytes(), None).await.unwrap(), Outcome::NotFound);
}

/// A write meant for another version changes nothing.
pub async fn versions<S: Store>(store: S) {
    let (rows, _) = open(&store, "Versions").await;
    let row = row(&mut Random(2));
    let id = row[ID].clone();
    let made = rows.insert(object(&row)).await.unwrap();
    let wrong = || Expect::versions(vec![made.version - 1, made.version + 1]);
    let change = || vec![(AGE, Value::Int(9))];
    assert_eq!(rows.replace(object(&row), wrong()).await.unwrap(), Outcome::Changed);
    assert_eq!(rows.update(id.clone(), change(), wrong()).await.unwrap(), Outcome::Changed);
    assert_eq!(rows.delete(id.clone(), wrong()).await.unwrap(), Outcome::Changed);
    assert_eq!(rows.update(id.clone(), change(), Expect::versions(vec![])).await.unwrap(), Outcome::Changed);
    assert_eq!(rows.get(id.clone(), Expr::True).await.unwrap().unwrap(), made);
    let other = Value::Uuid(Uuid::nil());
    assert_eq!(rows.delete(other, wrong()).await.unwrap(), Outcome::NotFound);
    let right = Expect::versions(vec![1, made.version]);
    let Outcome::Done(changed) = rows.update(id.clone(), change(), right).await.unwrap() else { panic!("not changed") };
    assert_eq!(rows.delete(id.clone(), Expect::versions(vec![changed.version])).await.unwrap(), Outcome::Done(()));
    let again = rows.insert(object(&row)).await.unwrap();
    assert!(again.version > changed.version, "a row made again never repeats a version");
}

/// Writes to several collections are done together, in their order, or not at all; and only to those of the store itself.
pub async fn transacts<S: Store>(store: S) {
    let (ones, _) = open(&store, "One").await;
    let (others, _) = open(&store, "Other").await;
    let mut random = Random(11);
    let [first, second, third] = [(); 3].map(|()| row(&mut random));
    let kept = ones.insert(object(&first)).await.unwrap();
    let set =
        |row: &[Value<'static>], expect: Expect| Write::Update(row[ID].clone(), vec![(AGE, Value::Int(7))], expect);
    let done = store
        .transact(vec![
            (ones.clone(), set(&first, Expect::versions(vec![kept.version]))),
            (others.clone(), Write::Insert(object(&second))),
            (ones.clone(), Write::Leave(first[ID].clone(), Expect::versions(vec![kept.version + 1]))),
            // It sees what was written before it.
            (others.clone(), set(&second, Expect::any())),
            (ones.clone(), Write::Insert(object(&third))),
            (ones.clone(), Write::Delete(third[ID].clone(), Expect::any())),
            (ones.clone(), Write::Replace(object(&first), Expect::versions(vec![kept.version + 1]))),
        ])
        .await
        .unwrap();
    assert_eq!(done.len(), 7);
    assert_eq!(
        (done[0].as_ref().unwrap().version, done[6].as_ref().unwrap().version),
        (kept.version + 1, kept.version + 2)
    );
    assert_eq!((&done[2], &done[5]), (&done[0], &None));
    assert_eq!(others.get(second[ID].clone(), Expr::True).await.unwrap(), done[3]);
    assert_eq!(ones.get(first[ID].clone(), Expr::True).await.unwrap(), done[6]);
    assert_eq!(store.transact(Vec::new()).await.unwrap(), vec![]);

    let stale = Expect::versions(vec![kept.version]);
    for (refused, why) in [
        ((ones.clone(), set(&first, stale.clone())), "changed"),
        ((ones.clone(), Write::Replace(object(&first), stale.clone())), "changed"),
        ((ones.clone(), Write::Delete(first[ID].clone(), stale.clone())), "changed"),
        ((others.clone(), set(&third, Expect::any())), "not found"),
        ((others.clone(), Write::Delete(first[ID].clone(), Expect::any())), "not found"),
        ((others.clone(), Write::Insert(object(&second))), "duplicate"),
    ] {
        let writes =
            vec![(ones.clone(), Write::Insert(object(&third))), (others.clone(), set(&second, Expect::any())), refused];
        let error = store.transact(writes).await.unwrap_err();
        let told = match error.why {
            Refusal::Changed => "changed",
            Refusal::NotFound => "not found",
            Refusal::Store(StoreError::Duplicate { .. }) => "duplicate",
            Refusal::Store(error) => panic!("{error}"),
        };
        assert_eq!((error.index, told), (2, why));
        assert_eq!(ones.get(third[ID].clone(), Expr::True).await.unwrap(), None, "nothing is left of it");
        assert_eq!(others.get(second[ID].clone(), Expr::True).await.unwrap(), done[3]);
    }
}

/// A row keeps its shard key, whatever type that is of, and on a store without shards as well.
pub async fn sharded<S: Store>(store: S) {
    let choices = vec![Value::Int(7), text("b"), Value::Bool(true)];
    let keys = [
        ("Text", Type::Str(Text::default()), [text("ä$x"), text("")]),
        ("Int", Type::Int(Bounds::default()), [Value::Int(i64::MIN), Value::Int(7)]),
        ("Bool", Type::Bool, [Value::Bool(true), Value::Bool(false)]),
        ("Uuid", Type::Uuid, [Value::Uuid(Uuid::now_v7()), Value::Uuid(Uuid::new_v4())]),
        (
            "LegacyUuid",
            Type::LegacyUuid(LegacyUuid::Java),
            [Value::Uuid(Uuid::now_v7()), Value::Uuid(Uuid::from_u128(1))],
        ),
        ("ObjectId", Type::ObjectId, [text("507f1f77bcf86cd799439011"), text("507f1f77bcf86cd799439012")]),
        ("DateTime", Type::DateTime(Naive::default()), [Value::DateTime(-1), Value::DateTime(1_700_000_000_123)]),
        ("Date", Type::Date(Bounds::default()), [text("2026-01-31"), text("0001-01-01")]),
        ("Time", Type::Time(Bounds::default()), [text("23:59:59.000001"), text("00:00:00")]),
        ("Span", Type::Duration(Bounds::default()), [Value::Duration(-1), Value::Duration(5)]),
        ("Choice", Type::OneOf { values: choices, sort: ChoiceSort::Literal }, [Value::Int(7), Value::Bool(true)]),
    ];
    for (name, kind, [key, other]) in keys {
        let fields = vec![
            Field::new("id", Type::Uuid),
            Field::new("key", kind).access(Access::Immutable),
            Field::new("text", Type::Str(Text::default())),
        ];
        let schema = Schema { name: format!("Shard{name}"), fields, id: Some(0), unknown: Unknown::Forbid };
        let schema = Arc::new(schema.shard_by("key").unwrap());
        let rows = store.open(Arc::clone(&schema)).await.unwrap();
        let id = Value::Uuid(Uuid::now_v7());
        let document =
            |key: &Value<'static>, content: &'static str| Value::Object(vec![id.clone(), key.clone(), text(content)]);
        let version = rows.insert(document(&key, "0")).await.unwrap().version;

        let Outcome::Done(row) = rows.replace(document(&key, "1"), Expect::versions(vec![version])).await.unwrap()
        else {
            panic!("{name}: not replaced")
        };
        assert_eq!(rows.get(id.clone(), Expr::True).await.unwrap().unwrap(), row, "{name}");
        for expect in [Expect::any(), Expect::versions(vec![row.version])] {
            assert_eq!(rows.replace(document(&other, "x"), expect).await.unwrap(), Outcome::NotFound, "{name}");
        }
        let moved = rows.update(id.clone(), vec![(1, other.clone())], Expect::any()).await.unwrap_err();
        assert!(moved.to_string().contains("a change of the id, of the shard key or of no field"), "{moved}");
        let write = Write::Replace(document(&other, "x"), Expect::any());
        let moved = store.transact(vec![(rows.clone(), write)]).await.unwrap_err();
        assert!(matches!(moved.why, Refusal::NotFound), "{name}: {moved:?}");
        assert_eq!(rows.get(id.clone(), Expr::True).await.unwrap().unwrap(), row, "{name}: nothing was written");

        let Outcome::Done(row) = rows.update(id.clone(), vec![(2, text("2"))], Expect::any()).await.unwrap() else {
            panic!("{name}: not changed")
        };
        assert_eq!(row.version, version + 2);
        // Code is told what was wrong.
        let code = Rows::new(Arc::clone(&schema), rows.clone()).unwrap();
        let json = |key: &Value<'static>| ziggurat::crud::json::document(&schema, &document(key, "3"));
        let told = code.replace(&json(&other), Some(row.version)).await.unwrap_err().to_string();
        assert_eq!(
            told,
            format!("the Shard{name} with this id has another key: it is the shard key, which cannot be changed")
        );
        let (mut own, mut foreign, mut number) = (Vec::new(), Vec::new(), Vec::new());
        ziggurat::crud::json::write_value(&mut own, &schema.fields[1].kind, &key);
        ziggurat::crud::json::write_value(&mut foreign, &schema.fields[1].kind, &other);
        ziggurat::crud::json::write_value(&mut number, &Type::Uuid, &id);
        let elsewhere = code.clone().in_shard(&foreign).unwrap();
        assert_eq!(elsewhere.get(&number).await.unwrap(), None);
        assert_eq!(elsewhere.delete(&number, None).await.unwrap_err().to_string(), told);
        assert_eq!(elsewhere.purge(&number, Some(1)).await.unwrap_err().to_string(), told);
        let here = code.in_shard(&own).unwrap();
        assert_eq!(here.delete(&number, Some(row.version - 1)).await.unwrap(), Outcome::Changed);
        assert_eq!(here.delete(&number, Some(row.version)).await.unwrap(), Outcome::Done(()), "{name}");
        assert_eq!(here.delete(&number, None).await.unwrap(), Outcome::NotFound);
        let why = here.in_shard(b"[]").map(drop).unwrap_err().to_string();
        assert!(why.starts_with("[] is no key of Shard"), "{why}");
    }
    let (collection, schema) = open(&store, "Whole").await;
    let none = Rows::new(schema, collection).unwrap().in_shard(b"1").map(drop).unwrap_err();
    assert_eq!(none.to_string(), "Whole has no shard key");
}

/// Of many writers with the same `If-Match`, exactly one wins; without one, each is counted.
pub async fn race<S: Store>(store: S) {
    let (rows, _) = open(&store, "Race").await;
    let row = row(&mut Random(3));
    let id = row[ID].clone();
    let mut version = rows.insert(object(&row)).await.unwrap().version;
    for round in 0..3 {
        let writers: Vec<_> = (0..16)
            .map(|writer| {
                let (rows, id) = (rows.clone(), id.clone());
                let change = vec![(AGE, Value::Int(round * 100 + writer))];
                tokio::spawn(async move { rows.update(id, change, Expect::versions(vec![version])).await.unwrap() })
            })
            .collect();
        let mut winners = Vec::new();
        for writer in writers {
            match writer.await.unwrap() {
                Outcome::Done(row) => winners.push(row),
                other => assert_eq!(other, Outcome::Changed),
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(rows.get(id.clone(), Expr::True).await.unwrap().unwrap(), winners[0]);
        version = winners[0].version;
    }
    let writers: Vec<_> = (0..16)
        .map(|_| {
            let (rows, id) = (rows.clone(), id.clone());
            tokio::spawn(async move { rows.update(id, vec![], Expect::any()).await.unwrap() })
        })
        .collect();
    for writer in writers {
        assert!(matches!(writer.await.unwrap(), Outcome::Done(_)));
    }
    assert_eq!(rows.get(id, Expr::True).await.unwrap().unwrap().version, version + 16);
}

/// Of many reads at once each gets its own row, or none; also when several ask for the same, and some have gone away.
pub async fn reads<S: Store>(store: S) {
    let (rows, _) = open(&store, "Reads").await;
    let mut random = Random(5);
    let mut made = Vec::new();
    for _ in 0..20 {
        made.push(rows.insert(object(&row(&mut random))).await.unwrap());
    }
    let ids: Vec<Uuid> = made.iter().map(|row| string(row)[7..43].parse().unwrap()).collect();
    let readers: Vec<_> = (0..400)
        .map(|reader| {
            let (rows, index) = (rows.clone(), reader * 7 % 25);
            let id = ids.get(index).copied().unwrap_or(Uuid::from_u128(index as u128));
            let task = tokio::spawn(async move { rows.get(Value::Uuid(id), Expr::True).await.unwrap() });
            (index, task)
        })
        .collect();
    for (number, (index, reader)) in readers.into_iter().enumerate() {
        if number % 10 == 3 {
            reader.abort();
            continue;
        }
        assert_eq!(reader.await.unwrap().as_ref(), made.get(index), "reader {number}");
    }
}

/// Unique fields and ids; nulls do not count.
pub async fn unique<S: Store>(store: S) {
    let (rows, _) = open(&store, "Unique").await;
    let mut random = Random(4);
    let with = |random: &mut Random, mail: Value<'static>| {
        let mut row = row(random);
        row[MAIL] = mail;
        row
    };
    let duplicate = |error: StoreError, name: &str| match error {
        StoreError::Duplicate { fields } => assert_eq!(fields, [name]),
        other => panic!("{other:?}"),
    };
    let one = with(&mut random, text("a@b"));
    let two = with(&mut random, text("c@d"));
    rows.insert(object(&one)).await.unwrap();
    rows.insert(object(&two)).await.unwrap();
    for _ in 0..2 {
        rows.insert(object(&with(&mut random, Value::Null))).await.unwrap();
    }
    duplicate(rows.insert(object(&with(&mut random, text("a@b")))).await.unwrap_err(), "mail");
    let mut same_id = with(&mut random, Value::Null);
    same_id[ID] = one[ID].clone();
    duplicate(rows.insert(object(&same_id)).await.unwrap_err(), "id");
    let mut taken = two.clone();
    taken[MAIL] = text("a@b");
    duplicate(rows.replace(object(&taken), Expect::any()).await.unwrap_err(), "mail");
    duplicate(rows.update(two[ID].clone(), vec![(MAIL, text("a@b"))], Expect::any()).await.unwrap_err(), "mail");
    assert_eq!(rows.count(Expr::True).await.unwrap(), 4);
    // A failed write leaves the version alone, and the value is free once its row is gone.
    rows.delete(one[ID].clone(), Expect::any()).await.unwrap();
    let changed = rows.update(two[ID].clone(), vec![(MAIL, text("a@b"))], Expect::any()).await.unwrap();
    assert!(matches!(changed, Outcome::Done(_)));
    // Of many that want the same value, one gets it.
    let writers: Vec<_> = (0..12)
        .map(|_| {
            let (rows, row) = (rows.clone(), with(&mut random, text("race@b")));
            tokio::spawn(async move { rows.insert(object(&row)).await.is_ok() })
        })
        .collect();
    let mut won = 0;
    for writer in writers {
        won += usize::from(writer.await.unwrap());
    }
    assert_eq!(won, 1);
}

/// Fields that are unique together, of whatever types: rows that differ in one of them do not count, nor do such that hold a null, nor
/// do those that are marked as deleted; every way of writing is told which fields they are.
pub async fn unique_together<S: Store>(store: S) {
    let all = [AGE, RATE, FLAG, WHEN, REF, COLOR, DAY, CLOCK, SPAN, PRICE, EXACT, MOMENT, MIDNIGHT, OLD, NAME];
    let mut schema = (*schema("Together")).clone();
    schema.fields.push(
        Field::new("gone", Type::Optional(Box::new(Type::DateTime(Naive::default()))))
            .default(DefaultValue::Constant(Value::Null))
            .access(Access::ReadOnly)
            .deletion(),
    );
    let names: Vec<String> = all.iter().map(|field| schema.fields[*field].name.to_string()).collect();
    let schema = Arc::new(schema.unique_together(&names).unwrap());
    let rows = store.open(Arc::clone(&schema)).await.unwrap();
    assert_eq!(store.plan(Arc::clone(&schema)).await.unwrap(), [], "opening has made it");
    let (mut random, mut others) = (Random(23), Random(24));
    let mut new = || {
        let mut row = row(&mut random);
        (row[MAIL], row[NAME]) = (Value::Null, text("same"));
        row.push(Value::Null);
        row
    };
    let duplicate = |error: StoreError| match error {
        StoreError::Duplicate { fields } => assert_eq!(fields, names),
        other => panic!("{other:?}"),
    };
    let one = loop {
        let row = new();
        if all.iter().all(|field| row[*field] != Value::Null) {
            break row;
        }
    };
    let like = |new: Vec<Value<'static>>| {
        let mut row = one.clone();
        row[ID] = new[ID].clone();
        row
    };
    let first = rows.insert(object(&one)).await.unwrap();
    duplicate(rows.insert(object(&like(new()))).await.unwrap_err());
    let batch = rows.insert_all(vec![object(&new()), object(&like(new()))]).await.unwrap_err();
    assert_eq!(batch.index, 1);
    duplicate(batch.error);
    assert_eq!(rows.count(Expr::True).await.unwrap(), 1);
    // One that differs in any of them is another.
    for field in all {
        let mut row = like(new());
        row[field] = loop {
            let other = operand(&mut others, field);
            if order(&other, &one[field]).is_ne() {
                break other;
            }
        };
        rows.insert(object(&row)).await.unwrap();
        duplicate(rows.update(row[ID].clone(), vec![(field, one[field].clone())], Expect::any()).await.unwrap_err());
        duplicate(rows.replace(object(&like(row)), Expect::any()).await.unwrap_err());
    }
    for field in all.into_iter().filter(|field| schema.fields[*field].kind.is_nullable()) {
        for _ in 0..2 {
            let mut row = like(new());
            row[field] = Value::Null;
            rows.insert(object(&row)).await.unwrap();
        }
    }
    let count = rows.count(Expr::True).await.unwrap();
    let other = like(new());
    let mut unlike = other.clone();
    unlike[NAME] = text("unlike");
    rows.insert(object(&unlike)).await.unwrap();
    let refused = rows.update_all(Expr::equal(ID.into(), other[ID].clone()), vec![(NAME, one[NAME].clone())], 10);
    duplicate(refused.await.unwrap_err());
    let written =
        vec![(rows.clone(), Write::Update(other[ID].clone(), vec![(NAME, one[NAME].clone())], Expect::any()))];
    match store.transact(written).await.unwrap_err().why {
        Refusal::Store(error) => duplicate(error),
        why => panic!("{why:?}"),
    }
    assert_eq!(rows.count(Expr::True).await.unwrap(), count + 1);
    // A row that is marked as deleted is not in the way, until it comes back.
    let id = one[ID].clone();
    let gone = schema.field("gone").unwrap();
    rows.update(id.clone(), vec![(gone, Value::DateTime(0))], Expect::any()).await.unwrap();
    rows.replace(object(&other), Expect::any()).await.unwrap();
    duplicate(rows.update(id.clone(), vec![(gone, Value::Null)], Expect::any()).await.unwrap_err());
    assert_eq!(rows.get(id, Expr::True).await.unwrap().unwrap().version, first.version + 1);
    // Of many that want the same place, one gets it.
    let writers: Vec<_> = (0..12)
        .map(|_| {
            let mut row = like(new());
            row[NAME] = text("race");
            let rows = rows.clone();
            tokio::spawn(async move { rows.insert(object(&row)).await.is_ok() })
        })
        .collect();
    let mut won = 0;
    for writer in writers {
        won += usize::from(writer.await.unwrap());
    }
    assert_eq!(won, 1);
}

/// Values come back equal to the byte, whatever they hold.
pub async fn bytes<S: Store>(store: S) {
    let (rows, schema) = open(&store, "Bytes").await;
    let mut random = Random(5);
    for index in 0..40 {
        let mut row = row(&mut random);
        row[NAME] = text(TEXTS[index % TEXTS.len()]);
        row[NICK] = row[NAME].clone();
        row[BIG] = Value::Int(INTS[index % INTS.len()]);
        row[SCORE] = Value::Float(FLOATS[index % FLOATS.len()]);
        row[WHEN] = Value::DateTime(TIMES[index % TIMES.len()]);
        row[TAGS] = Value::List(vec![row[NAME].clone(), text("x")]);
        row[PLACE] = Value::Object(vec![row[NAME].clone(), row[BIG].clone(), row[WHEN].clone()]);
        let expected = text_of(&schema, &row);
        assert_eq!(string(&rows.insert(object(&row)).await.unwrap()), expected);
        assert_eq!(string(&rows.get(row[ID].clone(), Expr::True).await.unwrap().unwrap()), expected);
        let changes = vec![(NAME, row[NAME].clone()), (SCORE, row[SCORE].clone()), (PLACE, row[PLACE].clone())];
        let Outcome::Done(changed) = rows.update(row[ID].clone(), changes, Expect::any()).await.unwrap() else {
            panic!()
        };
        assert_eq!(string(&changed), expected);
        // And is found by each of them.
        for field in [NAME, NICK, BIG, SCORE, WHEN, RATE] {
            if row[field] != Value::Null {
                let equal = Expr::Compare { field: field.into(), op: Comparison::Eq, value: row[field].clone() };
                let this = Expr::Compare { field: ID.into(), op: Comparison::Eq, value: row[ID].clone() };
                let found = rows.count(Expr::And(vec![this, equal])).await.unwrap();
                assert_eq!(found, 1, "{:?} of field {field} is not found", row[field]);
            }
        }
    }
}

/// Walks a query page by page; the texts of all rows.
async fn walk<C: Collection>(rows: &C, mut query: Query) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let page = rows.list(query.clone()).await.unwrap();
        assert!(page.versions.len() <= query.limit);
        let items = format!("[{}]", std::str::from_utf8(&page.items).unwrap());
        // An independent reader finds where one document ends and the next begins.
        let items: Vec<Box<serde_json::value::RawValue>> = serde_json::from_str(&items).unwrap();
        assert_eq!(items.len(), page.versions.len());
        found.extend(items.iter().map(|item| item.get().to_owned()));
        match page.next {
            Some(next) => {
                assert_eq!(page.versions.len(), query.limit, "only a full page has a next one");
                (query.after, query.offset) = (Some(next), 0);
            }
            None => return found,
        }
    }
}

/// Fills a collection with random rows.
async fn filled<S: Store>(
    store: &S,
    name: &str,
    seed: u64,
    count: usize,
) -> (S::Collection, Arc<Schema>, Vec<Vec<Value<'static>>>) {
    let (rows, schema) = open(store, name).await;
    let mut random = Random(seed);
    let data: Vec<_> = (0..count).map(|_| row(&mut random)).collect();
    for row in &data {
        rows.insert(object(row)).await.unwrap();
    }
    (rows, schema, data)
}

/// Every comparison with every type, and random predicates, against the plain evaluator.
pub async fn filters<S: Store>(store: S, rounds: usize) {
    let (rows, schema, data) = filled(&store, "Filters", 6, 60).await;
    let check = async |filter: Expr| {
        let query = Query { filter: filter.clone(), ..all(1000) };
        let expected: Vec<_> = answer(&query, &data).iter().map(|row| text_of(&schema, row)).collect();
        assert_eq!(walk(&rows, query).await, expected, "{filter:?}");
        assert_eq!(rows.count(filter.clone()).await.unwrap(), expected.len() as u64, "{filter:?}");
        for row in &data {
            assert_eq!(filter.holds(row), holds(&filter, row), "{filter:?} of a row at hand: {row:?}");
        }
    };
    let mut random = Random(7);
    for field in SCALARS {
        for op in OPS {
            let value = if random.below(2) == 0 { operand(&mut random, field) } else { data[0][field].clone() };
            let value = if value == Value::Null { operand(&mut random, field) } else { value };
            let compare = Expr::Compare { field: field.into(), op, value };
            check(compare.clone()).await;
            check(Expr::Not(Box::new(compare))).await;
        }
        let values = vec![operand(&mut random, field), operand(&mut random, field)];
        check(Expr::In { field: field.into(), values: values.clone() }).await;
        check(Expr::Not(Box::new(Expr::In { field: field.into(), values }))).await;
        check(Expr::In { field: field.into(), values: vec![] }).await;
    }
    for field in 0..FIELDS {
        check(Expr::IsNull { field: field.into() }).await;
        check(Expr::Not(Box::new(Expr::IsNull { field: field.into() }))).await;
    }
    for op in OPS {
        for length in 0..4 {
            check(Expr::Length { field: TAGS.into(), op, length }).await;
        }
    }
    for wanted in TEXTS {
        check(Expr::Has { field: TAGS.into(), values: vec![text(wanted)] }).await;
        for fold in [false, true] {
            let pattern = Pattern::new([String::new(), wanted.to_owned(), String::new()], fold);
            check(Expr::Like { field: NAME.into(), pattern }).await;
        }
    }
    check(Expr::And(vec![])).await;
    check(Expr::Or(vec![])).await;
    check(Expr::Not(Box::new(Expr::True))).await;
    for _ in 0..rounds {
        check(predicate(&mut random, 3)).await;
    }
}

/// For an operation there are only the rows for which its predicate holds, whatever their version.
pub async fn only<S: Store>(store: S, rounds: usize) {
    let (rows, schema, mut data) = filled(&store, "Only", 10, 12).await;
    let mut random = Random(11);
    for _ in 0..rounds {
        let index = random.below(data.len());
        let (id, only) = (data[index][ID].clone(), predicate(&mut random, 2));
        let shown = holds(&only, &data[index]);
        let expect = || Expect::any().only(only.clone());
        let row = rows.get(id.clone(), only.clone()).await.unwrap();
        assert_eq!(row.as_ref().map(string), shown.then(|| text_of(&schema, &data[index])).as_deref(), "{only:?}");

        let wrong = Expect::versions(vec![1]).only(only.clone());
        let refused = if shown { Outcome::Changed } else { Outcome::NotFound };
        assert_eq!(rows.update(id.clone(), vec![], wrong.clone()).await.unwrap(), refused, "{only:?}");
        assert_eq!(rows.replace(object(&data[index]), wrong.clone()).await.unwrap(), refused, "{only:?}");
        let deleted = rows.delete(id.clone(), wrong).await.unwrap();
        assert_eq!(deleted, if shown { Outcome::Changed } else { Outcome::NotFound }, "{only:?}");

        let age = Value::Int(random.below(90) as i64);
        let changed = rows.update(id.clone(), vec![(AGE, age.clone())], expect()).await.unwrap();
        assert_eq!(matches!(changed, Outcome::Done(_)), shown, "{only:?}");
        if shown {
            data[index][AGE] = age;
        }
        let mut new = data[index].clone();
        new[NAME] = text("new");
        let shown = holds(&only, &data[index]);
        let replaced = rows.replace(object(&new), expect()).await.unwrap();
        assert_eq!(matches!(replaced, Outcome::Done(_)), shown, "{only:?}");
        if shown {
            data[index] = new;
        }
        let shown = holds(&only, &data[index]);
        let deleted = rows.delete(id.clone(), expect()).await.unwrap();
        assert_eq!(deleted, if shown { Outcome::Done(()) } else { Outcome::NotFound }, "{only:?}");
        if shown {
            rows.insert(object(&data[index])).await.unwrap();
        }
        let row = rows.get(id, Expr::True).await.unwrap().unwrap();
        assert_eq!(string(&row), text_of(&schema, &data[index]), "{only:?}");
    }
}

/// A write to all rows that hold is done to these and no others, or to none.
pub async fn many<S: Store>(store: S, rounds: usize) {
    let (rows, schema, mut data) = filled(&store, "Many", 12, 20).await;
    let mut random = Random(13);
    let ids: Vec<_> = data.iter().map(|row| row[ID].clone()).collect();
    let stored = async || -> Vec<Row> {
        let mut found = Vec::new();
        for id in &ids {
            found.push(rows.get(id.clone(), Expr::True).await.unwrap().unwrap());
        }
        found
    };
    let before = stored().await;
    // No two rows may have the same mail, and all of them are in the way.
    let same = rows.update_all(Expr::True, vec![(NICK, text("x")), (MAIL, text("same@b"))], 100).await;
    assert!(matches!(same, Err(StoreError::Duplicate { fields }) if fields == ["mail"]));
    assert_eq!(rows.update_all(Expr::True, vec![(NICK, text("x"))], 19).await.unwrap(), Many::TooMany);
    assert_eq!(rows.update_all(Expr::never(), vec![(NICK, text("x"))], 0).await.unwrap(), Many::Done(0));
    assert_eq!(rows.delete_all(Expr::True, 19).await.unwrap(), Many::TooMany);
    assert_eq!(rows.delete_all(Expr::never(), 0).await.unwrap(), Many::Done(0));
    assert_eq!(stored().await, before);

    let mut versions: Vec<i64> = before.iter().map(|row| row.version).collect();
    for round in 0..rounds {
        let filter = predicate(&mut random, 2);
        let held: Vec<usize> = (0..data.len()).filter(|index| holds(&filter, &data[*index])).collect();
        let count = held.len() as u64;
        if count > 0 {
            let refused = rows.update_all(filter.clone(), vec![(AGE, Value::Int(-1))], count - 1).await.unwrap();
            assert_eq!(refused, Many::TooMany, "{filter:?}");
        }
        // What a text holds is never anything but a text.
        let values =
            [(NICK, text("$name")), (TAGS, Value::List(vec![text("'\\\"$")])), (AGE, Value::Int(round as i64))];
        let done = rows.update_all(filter.clone(), values.to_vec(), count).await.unwrap();
        assert_eq!(done, Many::Done(count), "{filter:?}");
        for index in held {
            values.iter().for_each(|(field, value)| data[index][*field] = value.clone());
            versions[index] += 1;
        }
        for ((row, data), version) in stored().await.iter().zip(&data).zip(&versions) {
            assert_eq!((string(row), row.version), (&*text_of(&schema, data), *version), "{filter:?}");
        }
    }

    // Each of several at once is done to all rows or refused as a whole.
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let rows = rows.clone();
            tokio::spawn(async move { rows.update_all(Expr::True, vec![(AGE, Value::Int(writer))], 100).await })
        })
        .collect();
    let mut done = 0;
    for writer in writers {
        match writer.await.unwrap() {
            Ok(Many::Done(20)) => done += 1,
            Err(StoreError::Unavailable { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(done > 0);
    for (row, version) in stored().await.iter().zip(&versions) {
        assert_eq!(row.version, version + done);
    }

    rows.update_all(Expr::True, vec![(AGE, Value::Int(5))], 20).await.unwrap();
    data.iter_mut().for_each(|row| row[AGE] = Value::Int(5));
    while !data.is_empty() {
        let filter = predicate(&mut random, 2);
        let (gone, left): (Vec<_>, Vec<_>) = data.into_iter().partition(|row| holds(&filter, row));
        assert_eq!(rows.delete_all(filter, 20).await.unwrap(), Many::Done(gone.len() as u64));
        let texts: Vec<_> = answer(&all(100), &left).iter().map(|row| text_of(&schema, row)).collect();
        assert_eq!(walk(&rows, all(100)).await, texts);
        data = left;
    }
}

/// Whoever watches is told of every change once, in order, with the row before and after it, and can go on later.
pub async fn changes<S: Store>(store: S) {
    let (rows, schema) = open(&store, "Changes").await;
    rows.keep_changes().await.unwrap();
    rows.keep_changes().await.unwrap();
    let (other, _) = open(&store, "Others").await;
    other.keep_changes().await.unwrap();
    let mut random = Random(14);
    let mut row = row(&mut random);
    let before = rows.insert(object(&row)).await.unwrap();
    let next = async |changes: &mut Changes| -> Change {
        let next = tokio::time::timeout(std::time::Duration::from_secs(20), changes.stream.next());
        next.await.expect("a change is told soon").unwrap().unwrap()
    };

    let mut watched = rows.changes(None).await.unwrap();
    row[AGE] = Value::Int(77);
    let id = row[ID].clone();
    let Outcome::Done(after) = rows.update(id.clone(), vec![(AGE, Value::Int(77))], Expect::any()).await.unwrap()
    else {
        panic!("not changed")
    };
    assert_eq!(string(&after), text_of(&schema, &row));
    other.insert(object(&self::row(&mut random))).await.unwrap();
    let changed = next(&mut watched).await;
    assert_eq!((changed.before, changed.after), (Some(before), Some(after.clone())));
    // What was not done is not told: a write that fails, one that finds no row, one that is undone as a whole.
    rows.insert(object(&row)).await.unwrap_err();
    let filter = Expr::equal(AGE.into(), Value::Int(77));
    assert_eq!(rows.update_all(filter.clone(), vec![(AGE, Value::Int(0))], 0).await.unwrap(), Many::TooMany);
    let mut many: Vec<_> = (0..3).map(|_| self::row(&mut random)).collect();
    let twice = [&many[..], &many[..1]].concat();
    rows.insert_all(twice.iter().map(|row| object(row)).collect()).await.unwrap_err();
    let made = rows.insert_all(many.iter().map(|row| object(row)).collect()).await.unwrap();
    let mut tokens = vec![changed.token];
    for made in &made {
        let told = next(&mut watched).await;
        assert_eq!((told.before, told.after.as_ref()), (None, Some(made)));
        tokens.push(told.token);
    }
    many.iter_mut().for_each(|row| row[AGE] = Value::Int(77));
    assert_eq!(rows.update_all(Expr::True, vec![(AGE, Value::Int(77))], 9).await.unwrap(), Many::Done(4));
    let mut seen = HashSet::new();
    for _ in 0..4 {
        let told = next(&mut watched).await;
        let (before, after) = (told.before.unwrap(), told.after.unwrap());
        assert_eq!(after.version, before.version + 1);
        seen.insert(after.json);
        tokens.push(told.token);
    }
    assert_eq!(seen.len(), 4);
    assert!(matches!(rows.delete(id, Expect::any()).await.unwrap(), Outcome::Done(())));
    let gone = next(&mut watched).await;
    assert_eq!((gone.before.map(|row| row.json), gone.after), (Some(after.json), None));
    tokens.push(gone.token);
    assert_eq!(tokens.iter().collect::<HashSet<_>>().len(), tokens.len());
    let plain = |token: &String| token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    assert!(tokens.iter().all(plain), "{tokens:?}");

    // From each token on, the rest is told again in the same order.
    for (index, token) in tokens.iter().enumerate() {
        let mut again = rows.changes(Some(token.clone())).await.unwrap();
        for expected in &tokens[index + 1..] {
            assert_eq!(next(&mut again).await.token, *expected);
        }
    }
    for wrong in ["", "x", "999999999", "-1", "eA"] {
        match rows.changes(Some(wrong.to_owned())).await {
            Err(ChangesError::Lost) => {}
            other => panic!("{wrong}: {other:?}"),
        }
    }

    // Of many writers at once, each change is told once.
    let writers: Vec<_> = (0..40)
        .map(|index| {
            let (rows, row) = (rows.clone(), self::row(&mut Random(100 + index)));
            tokio::spawn(async move { rows.insert(object(&row)).await.unwrap().json })
        })
        .collect();
    let mut written = HashSet::new();
    for writer in writers {
        written.insert(writer.await.unwrap());
    }
    for _ in 0..40 {
        let told = next(&mut watched).await;
        assert!(written.remove(&told.after.unwrap().json));
    }
    store.close().await;
    let end = tokio::time::timeout(std::time::Duration::from_secs(20), watched.stream.next()).await;
    assert!(
        matches!(end, Ok(Some(Err(ChangesError::Store(StoreError::Unavailable { .. }))))),
        "it ends with the store"
    );
    assert!(watched.stream.next().await.is_none());
}

/// Rows are copied to another store and back as they are, versions too, and never over others.
pub async fn copied<S: Store>(store: S) {
    let (rows, schema, data) = filled(&store, "Copied", 15, 40).await;
    for row in &data[..20] {
        rows.update(row[ID].clone(), vec![(AGE, Value::Int(3))], Expect::any()).await.unwrap();
    }
    let other = SqliteStore::in_memory(SqliteOptions::default()).unwrap();
    let place = other.open(Arc::clone(&schema)).await.unwrap();
    let mut told = Vec::new();
    assert_eq!(copy_rows(&schema, &rows, &place, |count| told.push(count)).await.unwrap(), 40);
    assert_eq!(told, [40]);
    let stored = async |id: &Value<'static>| rows.get(id.clone(), Expr::True).await.unwrap().unwrap();
    for row in &data {
        assert_eq!(place.get(row[ID].clone(), Expr::True).await.unwrap().unwrap(), stored(&row[ID]).await);
    }
    match copy_rows(&schema, &place, &rows, |_| ()).await {
        Err(CopyError::NotEmpty(40)) => {}
        other => panic!("{other:?}"),
    }
    rows.delete_all(Expr::True, 100).await.unwrap();
    assert_eq!(copy_rows(&schema, &place, &rows, |_| ()).await.unwrap(), 40);
    for row in &data {
        assert_eq!(place.get(row[ID].clone(), Expr::True).await.unwrap().unwrap(), stored(&row[ID]).await);
    }
    let again = (object(&data[0]), 7);
    assert!(matches!(rows.import(vec![again]).await, Err(RowError { error: StoreError::Duplicate { .. }, .. })));
    other.close().await;
}

/// What is no field is kept beside the fields, goes with a row that takes the place of another, and is copied.
pub async fn extras<S: Store>(store: S) {
    let schema = Arc::new(Schema { unknown: Unknown::Allow, ..(*schema("Extras")).clone() });
    let rows = store.open(Arc::clone(&schema)).await.unwrap();
    let mut random = Random(29);
    let make = |random: &mut Random| [row(random), vec![crate::rows::extras(random)]].concat();
    let done = |outcome| match outcome {
        Outcome::Done(row) => row,
        other => panic!("{other:?}"),
    };
    for _ in 0..25 {
        let mut row = make(&mut random);
        let id = row[ID].clone();
        let stored = async || rows.get(id.clone(), Expr::True).await.unwrap().unwrap();
        let made = rows.insert(object(&row)).await.unwrap();
        assert_eq!((string(&made), stored().await), (&*text_of(&schema, &row), made.clone()));
        row[AGE] = Value::Int(77);
        let changed = done(rows.update(id.clone(), vec![(AGE, row[AGE].clone())], Expect::any()).await.unwrap());
        assert_eq!((string(&changed), stored().await), (&*text_of(&schema, &row), changed.clone()));
        row = make(&mut random);
        row[ID] = id.clone();
        let replaced = done(rows.replace(object(&row), Expect::versions(vec![changed.version])).await.unwrap());
        assert_eq!(replaced.version, changed.version + 1);
        assert_eq!((string(&replaced), stored().await), (&*text_of(&schema, &row), replaced.clone()));
        let stale = rows.replace(object(&row), Expect::versions(vec![changed.version])).await.unwrap();
        assert_eq!(stale, Outcome::Changed);
        row = make(&mut random);
        row[ID] = id.clone();
        let written = store.transact(vec![(rows.clone(), Write::Replace(object(&row), Expect::any()))]).await.unwrap();
        assert_eq!(
            (string(written[0].as_ref().unwrap()), stored().await.version),
            (&*text_of(&schema, &row), made.version + 3)
        );
    }
    let other = SqliteStore::in_memory(SqliteOptions::default()).unwrap();
    let place = other.open(Arc::clone(&schema)).await.unwrap();
    assert_eq!(copy_rows(&schema, &rows, &place, |_| ()).await.unwrap(), 25);
    rows.delete_all(Expr::True, 100).await.unwrap();
    assert_eq!(copy_rows(&schema, &place, &rows, |_| ()).await.unwrap(), 25);
    other.close().await;
}

/// A request that comes again finds what it wrote.
pub async fn once<S: Store>(store: S) {
    let (rows, _) = open(&store, "Once").await;
    rows.keep_keys().await.unwrap();
    rows.keep_keys().await.unwrap();
    let mut random = Random(16);
    let key = |name: &str, fingerprint| Key { name: name.to_owned(), fingerprint };
    let done = |once| match once {
        Ok(Once::Done(rows)) => rows,
        other => panic!("{other:?}"),
    };
    let mut row = row(&mut random);
    row[MAIL] = text("once@b");
    let id = row[ID].clone();
    let stored = async || rows.get(id.clone(), Expr::True).await.unwrap();
    let insert = |row: &[Value<'static>]| vec![Write::Insert(object(row))];
    assert_eq!(rows.recall(key("a", 1)).await.unwrap(), None);
    let made = done(rows.once(insert(&row), key("a", 1)).await).remove(0);
    assert_eq!(stored().await.as_ref(), Some(&made));
    rows.update(id.clone(), vec![(AGE, Value::Int(99))], Expect::any()).await.unwrap();
    let other = insert(&self::row(&mut random));
    assert_eq!(rows.recall(key("a", 1)).await.unwrap(), Some(Once::Before(made.clone())));
    assert_eq!(rows.once(other.clone(), key("a", 1)).await.unwrap(), Once::Before(made.clone()));
    assert_eq!(rows.once(other, key("a", -2)).await.unwrap(), Once::Other);
    // The same row again, which is there because of the same request.
    assert_eq!(rows.once(insert(&row), key("a", 1)).await.unwrap(), Once::Before(made.clone()));

    // Every way to write one row, on the condition of a version that it no longer has then.
    let ways: [(&str, &dyn Fn(Expect) -> Write); 3] = [
        ("update", &|expect| Write::Update(id.clone(), vec![(AGE, Value::Int(1))], expect)),
        ("replace", &|expect| Write::Replace(object(&row), expect)),
        ("leave", &|expect| Write::Leave(id.clone(), expect)),
    ];
    for (name, write) in ways {
        let write = write(Expect::versions(vec![stored().await.unwrap().version]));
        let written = done(rows.once(vec![write.clone()], key(name, 1)).await).remove(0);
        assert_eq!(stored().await.as_ref(), Some(&written), "{name}");
        rows.update(id.clone(), vec![], Expect::any()).await.unwrap();
        let changed = stored().await;
        assert_eq!(rows.once(vec![write], key(name, 1)).await.unwrap(), Once::Before(written), "{name}");
        assert_eq!(stored().await, changed, "{name} was not done again");
    }
    let version = stored().await.unwrap().version;
    assert_eq!(version, made.version + 6, "leaving a row as it is is no write");
}

/// Of what is refused nothing is kept, be it one of many.
pub async fn once_refused<S: Store>(store: S) {
    let (rows, _) = open(&store, "OnceRefused").await;
    rows.keep_keys().await.unwrap();
    let mut random = Random(17);
    let mut new = || {
        let mut row = row(&mut random);
        row[MAIL] = Value::Null;
        row
    };
    let key = |name: &str| Key { name: name.to_owned(), fingerprint: 1 };
    let mut there = new();
    there[MAIL] = text("once@b");
    let made = rows.insert(object(&there)).await.unwrap();
    let [first, last, mut taken] = [new(), new(), new()];
    taken[MAIL] = text("once@b");
    let (gone, stale) = (new()[ID].clone(), Expect::versions(vec![1]));
    let set = |id: &Value<'static>, expect| Write::Update(id.clone(), vec![(AGE, Value::Int(1))], expect);
    let insert = |row: &[Value<'static>]| Write::Insert(object(row));
    let huge = (NICK, text(&"x".repeat(17 << 20)));
    for (name, refused, wanted) in [
        ("taken", insert(&taken), "duplicate"),
        ("stale", set(&there[ID], stale.clone()), "changed"),
        ("stale left", Write::Leave(there[ID].clone(), stale), "changed"),
        ("gone", set(&gone, Expect::any()), "not found"),
        ("gone left", Write::Leave(gone.clone(), Expect::any()), "not found"),
        ("huge", Write::Update(there[ID].clone(), vec![huge], Expect::any()), "too large"),
    ] {
        for (before, index) in [(vec![], 0), (vec![insert(&first), insert(&last)], 2)] {
            let writes = [&before[..], std::slice::from_ref(&refused)].concat();
            let error = rows.once(writes, key(name)).await.unwrap_err();
            let told = match error.why {
                Refusal::Changed => "changed",
                Refusal::NotFound => "not found",
                Refusal::Store(StoreError::Duplicate { fields }) if fields == ["mail"] => "duplicate",
                Refusal::Store(StoreError::TooLarge { .. }) => "too large",
                Refusal::Store(error) => panic!("{name}: {error}"),
            };
            assert_eq!((error.index, told), (index, wanted), "{name}");
            assert_eq!(rows.recall(key(name)).await.unwrap(), None, "{name}");
            assert_eq!(rows.count(Expr::True).await.unwrap(), 1, "{name}");
        }
    }
    assert_eq!(rows.get(there[ID].clone(), Expr::True).await.unwrap(), Some(made));
    // Each fits, and what would be kept of all does not.
    let many: Vec<_> = (0..3)
        .map(|_| {
            let mut row = new();
            row[NAME] = text(&"x".repeat(6 << 20));
            insert(&row)
        })
        .collect();
    let error = rows.once(many, key("many")).await.unwrap_err();
    assert!(matches!(error, WriteError { index: 3, why: Refusal::Store(StoreError::TooLarge { .. }) }), "{error:?}");
    assert_eq!(rows.count(Expr::True).await.unwrap(), 1);
    // And then it is done: many rows are told as one.
    let Ok(Once::Done(made)) = rows.once(vec![insert(&first), insert(&last)], key("many")).await else {
        panic!("not done")
    };
    let json = format!("{},{}", string(&made[0]), string(&made[1])).into();
    let before = Once::Before(Row { version: made[0].version, json });
    assert_eq!(rows.recall(key("many")).await.unwrap().as_ref(), Some(&before));
    assert_eq!(rows.once(vec![insert(&new())], key("many")).await.unwrap(), before);
    let nothing = Row { version: 0, json: "".into() };
    assert_eq!(rows.once(vec![], key("none")).await.unwrap(), Once::Done(vec![]));
    assert_eq!(rows.once(vec![], key("none")).await.unwrap(), Once::Before(nothing));
    assert_eq!(rows.count(Expr::True).await.unwrap(), 3);
}

/// Of many at once one is done, and the others are told what it wrote, or that it is being done.
pub async fn once_together<S: Store>(store: S) {
    let (rows, _) = open(&store, "OnceTogether").await;
    rows.keep_keys().await.unwrap();
    let there = row(&mut Random(18));
    let made = rows.insert(object(&there)).await.unwrap();
    let set = vec![(AGE, Value::Int(1))];
    let any = Write::Update(there[ID].clone(), set.clone(), Expect::any());
    let same = Write::Update(there[ID].clone(), set, Expect::versions(vec![made.version + 1]));
    let inserts = |index: u64, count: u64| {
        (0..count).map(|number| Write::Insert(object(&row(&mut Random(1000 * (index + 1) + number))))).collect()
    };
    for (name, rows_after, writes) in [
        ("one", 2, &(|index| inserts(index, 1)) as &dyn Fn(u64) -> Vec<Write>),
        ("many", 5, &|index| inserts(index + 50, 3)),
        ("update", 5, &|_| vec![any.clone()]),
        ("the version", 5, &|_| vec![same.clone()]),
    ] {
        let senders: Vec<_> = (0..8)
            .map(|index| {
                let (rows, writes) = (rows.clone(), writes(index));
                tokio::spawn(async move { rows.once(writes, Key { name: name.into(), fingerprint: 1 }).await })
            })
            .collect();
        let (mut done, mut found) = (0, Vec::new());
        for sender in senders {
            match sender.await.unwrap() {
                Ok(Once::Done(rows)) => {
                    done += 1;
                    let parts: Vec<_> = rows.iter().map(string).collect();
                    found.push((rows[0].version, parts.join(",")));
                }
                Ok(Once::Before(row)) => found.push((row.version, string(&row).to_owned())),
                // It may be asked for again.
                Ok(Once::Running) => {}
                other => panic!("{name}: {other:?}"),
            }
        }
        assert_eq!(done, 1, "{name}");
        assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "{name}");
        assert_eq!(rows.count(Expr::True).await.unwrap(), rows_after, "{name}");
    }
    let version = rows.get(there[ID].clone(), Expr::True).await.unwrap().unwrap().version;
    assert_eq!(version, made.version + 2, "each update was done once");
}

/// Walks in pages meet every row once and in order, whatever the keys.
pub async fn walks<S: Store>(store: S, rounds: usize) {
    let (rows, schema, data) = filled(&store, "Walks", 8, 45).await;
    let mut random = Random(9);
    assert_eq!(rows.estimate().await.unwrap(), data.len() as u64);
    let check = async |sort: Vec<Sort>, filter: Expr, limit: usize, offset: usize| {
        let query = Query { filter, sort, limit, offset, after: None };
        let expected: Vec<_> = answer(&query, &data).iter().skip(offset).map(|row| text_of(&schema, row)).collect();
        let found = walk(&rows, query.clone()).await;
        assert_eq!(found, expected, "{query:?}");
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len());
    };
    let id = |descending| Sort { field: ID, descending };
    for field in SCALARS {
        for descending in [false, true] {
            check(vec![Sort { field, descending }, id(false)], Expr::True, 7, 0).await;
            check(vec![Sort { field, descending }, id(true)], Expr::True, 11, 2).await;
        }
    }
    // Page boundaries: exactly full, one less, one more, and one row at a time.
    for limit in [1, 44, 45, 46] {
        check(vec![Sort { field: AGE, descending: true }, id(false)], Expr::True, limit, 0).await;
    }
    for _ in 0..rounds {
        let keys = random.below(4);
        let mut sort: Vec<_> =
            (0..keys).map(|_| Sort { field: random.pick(&SCALARS), descending: random.below(2) == 0 }).collect();
        let mut seen = HashSet::new();
        sort.retain(|key| key.field != ID && seen.insert(key.field));
        sort.push(id(random.below(2) == 0));
        let filter = if random.below(2) == 0 { Expr::True } else { predicate(&mut random, 1) };
        let limit = 1 + random.below(20);
        check(sort, filter, limit, random.below(3) * 10).await;
    }
}

/// Several rows are added all or none, and the one that was refused is named.
pub async fn together<S: Store>(store: S) {
    let (rows, schema) = open(&store, "Together").await;
    assert!(rows.has_transactions());
    let mut random = Random(21);
    let data: Vec<_> = (0..40).map(|_| row(&mut random)).collect();
    let documents = |data: &[Vec<Value<'static>>]| data.iter().map(|row| object(row)).collect::<Vec<_>>();
    let made = rows.insert_all(documents(&data[..20])).await.unwrap();
    assert_eq!(made.len(), 20);
    for (row, made) in data.iter().zip(&made) {
        assert_eq!(string(made), text_of(&schema, row));
        assert_eq!(rows.get(row[ID].clone(), Expr::True).await.unwrap().as_ref(), Some(made));
    }
    // The last of them has an id that is there already.
    let mut again = data[20..].to_vec();
    again.push(data[3].clone());
    again[20][MAIL] = Value::Null;
    let refused = rows.insert_all(documents(&again)).await.unwrap_err();
    assert_eq!(refused.index, 20, "{refused:?}");
    assert!(matches!(&refused.error, StoreError::Duplicate { fields } if fields == &["id"]), "{refused:?}");
    assert_eq!(rows.count(Expr::True).await.unwrap(), 20, "none of them was kept");
    assert!(rows.insert_all(documents(&data[20..])).await.is_ok());
    assert_eq!(rows.count(Expr::True).await.unwrap(), 40);
    assert_eq!(rows.insert_all(vec![]).await.unwrap(), vec![]);
}

/// A caller that goes away does not stop its write.
pub async fn dropped<S: Store>(store: S) {
    let (rows, _) = open(&store, "Dropped").await;
    let mut random = Random(10);
    let one = row(&mut random);
    {
        let write = std::pin::pin!(rows.insert(object(&one)));
        // Polled once, then dropped.
        let _ = futures_util::poll!(write);
    }
    for _ in 0..200 {
        if rows.get(one[ID].clone(), Expr::True).await.unwrap().is_some() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the write was lost with its caller");
}

/// Too large a document is refused, one below the limit is kept.
pub async fn sizes<S: Store>(store: S) {
    let (rows, schema) = open(&store, "Sizes").await;
    let mut random = Random(11);
    let mut row = row(&mut random);
    row[NAME] = text(&"x".repeat(17 << 20));
    assert!(matches!(rows.insert(object(&row)).await, Err(StoreError::TooLarge { .. })));
    assert_eq!(rows.count(Expr::True).await.unwrap(), 0);
    row[NAME] = text(&"x".repeat(2 << 20));
    assert_eq!(string(&rows.insert(object(&row)).await.unwrap()), text_of(&schema, &row));
    assert_eq!(string(&rows.get(row[ID].clone(), Expr::True).await.unwrap().unwrap()), text_of(&schema, &row));
    let huge = vec![(NICK, text(&"y".repeat(17 << 20)))];
    assert!(matches!(rows.update(row[ID].clone(), huge, Expect::any()).await, Err(StoreError::TooLarge { .. })));
    assert_eq!(string(&rows.get(row[ID].clone(), Expr::True).await.unwrap().unwrap()), text_of(&schema, &row));
}

/// Opening a collection again changes nothing; two models cannot share one.
pub async fn reopened<S: Store>(store: S) {
    let (rows, schema, data) = filled(&store, "Reopened", 12, 5).await;
    let before = walk(&rows, all(10)).await;
    let (again, _) = open(&store, "Reopened").await;
    assert_eq!(walk(&again, all(10)).await, before);
    assert_eq!(before.len(), data.len());
    let mut other = (*schema).clone();
    other.name = "reopened".into();
    assert!(store.open(Arc::new(other)).await.is_err(), "two models in one collection");
}

/// After `close`, operations say that the store is not available, and do not hang.
pub async fn closed<S: Store>(store: S) {
    let (rows, _) = open(&store, "Closed").await;
    let row = row(&mut Random(13));
    rows.insert(object(&row)).await.unwrap();
    store.close().await;
    assert!(matches!(rows.get(row[ID].clone(), Expr::True).await, Err(StoreError::Unavailable { .. })));
    assert!(matches!(rows.insert(object(&row)).await, Err(StoreError::Unavailable { .. })));
}
