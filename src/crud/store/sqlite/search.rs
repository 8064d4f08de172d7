//! Full-text search: an FTS5 table beside the table, which holds an index and none of the texts, kept by triggers.

use rusqlite::{Connection, OptionalExtension};

use super::error;
use super::table::{Table, column, quoted};
use crate::crud::StoreError;

/// The name of the table of words: `s_user_words`. Those that FTS5 makes beside it end in words of its own, so none of them is called
/// as that of another model.
pub(super) fn name(table: &Table) -> String {
    format!("s_{}_words", &table.name[2..])
}

/// The columns that are searched.
fn columns(table: &Table) -> Vec<String> {
    table.schema.searched().map(|field| quoted(&column(field))).collect()
}

/// What makes the table of words, where it is missing or holds others; nothing where nothing is searched.
pub(super) fn wanted(db: &Connection, table: &Table) -> Result<Option<String>, StoreError> {
    let columns = columns(table);
    if columns.is_empty() {
        return Ok(None);
    }
    let wanted = format!(
        "CREATE VIRTUAL TABLE {} USING fts5({}, content={}, content_rowid='seq', tokenize='unicode61 remove_diacritics 2')",
        quoted(&name(table)),
        columns.join(","),
        quoted(&table.name)
    );
    let known: Option<String> = db
        .query_row("SELECT sql FROM sqlite_schema WHERE name = ?", [name(table)], |row| row.get(0))
        .optional()
        .map_err(error::plain)?;
    Ok((known.as_deref() != Some(&*wanted)).then_some(wanted))
}

/// Makes the table of words when it is missing or holds others, and fills it. Where nothing is searched one that is there stays.
pub(super) fn ensure(db: &Connection, table: &Table) -> Result<(), StoreError> {
    let Some(wanted) = wanted(db, table)? else { return Ok(()) };
    let columns = columns(table);
    let (words, rows, listed) = (quoted(&name(table)), quoted(&table.name), columns.join(","));
    let of = |row: &str| columns.iter().map(|column| format!("{row}.{column}")).collect::<Vec<_>>().join(",");
    let add = format!("INSERT INTO {words}(rowid,{listed}) VALUES(NEW.seq,{});", of("NEW"));
    let take = format!("INSERT INTO {words}({words},rowid,{listed}) VALUES('delete',OLD.seq,{});", of("OLD"));
    let differ: Vec<String> = columns.iter().map(|column| format!("OLD.{column} IS NOT NEW.{column}")).collect();
    let mut sql = format!("DROP TABLE IF EXISTS {words};{wanted};");
    for (event, when, body) in [
        ("INSERT", String::new(), add.clone()),
        ("DELETE", String::new(), take.clone()),
        ("UPDATE", format!("WHEN {}", differ.join(" OR ")), format!("{take}{add}")),
    ] {
        let trigger = quoted(&format!("zg_s_{}_{}", table.name, event.to_ascii_lowercase()));
        sql.push_str(&format!(
            "DROP TRIGGER IF EXISTS {trigger}; CREATE TRIGGER {trigger} AFTER {event} ON {rows} {when} BEGIN {body} END;"
        ));
    }
    sql.push_str(&format!("INSERT INTO {words}({words}) VALUES('rebuild');"));
    db.execute_batch(&sql).map_err(error::plain)
}

/// All of the words, each in quotation marks, so that none is taken for an operator.
pub(super) fn matching(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{}\"", word.replace('"', "\"\""))).collect();
    quoted.join(" ")
}
