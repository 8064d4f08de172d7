//! Full-text search: a text index, where the server has them.

use bson::{Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Collection, IndexModel};

use super::error;
use crate::ConfigError;
use crate::crud::Schema;
use crate::crud::store::OpenError;

pub(super) const NAME: &str = "zg_words";

/// Makes the index, and asks it something.
pub(super) async fn ensure(rows: &Collection<Document>, schema: &Schema) -> Result<(), OpenError> {
    let keys: Document = schema.searched().map(|field| (field.name.to_string(), "text".into())).collect();
    if keys.is_empty() {
        return Ok(());
    }
    // No language, so that every word counts, and none is shortened; no field of the rows says otherwise.
    let options = IndexOptions::builder().name(NAME.to_owned()).default_language("none".to_owned());
    let options = options.language_override("zg_none".to_owned()).build();
    let refused = |error: mongodb::error::Error| match error::code(&error) {
        Some((85 | 86, message)) => {
            ConfigError::new(format!("the words of {} are indexed otherwise: {message}", schema.name))
                .cure(format!("drop that index with `db.{}.dropIndex(\"{NAME}\")`", rows.name()))
                .into()
        }
        Some((_, message)) => {
            ConfigError::new(format!("{}: this server cannot search texts ($text): {message}", schema.name))
                .cure("use one that does, as MongoDB itself, or leave search out")
                .into()
        }
        None => OpenError::from(error::of(error, schema)),
    };
    rows.create_index(IndexModel::builder().keys(keys).options(options).build()).await.map_err(refused)?;
    rows.find_one(matching(&["a".to_owned()])).await.map(drop).map_err(refused)
}

/// All of the words, each in quotation marks: of those that are not the server looks for any.
pub(super) fn matching(words: &[String]) -> Document {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{}\"", word.replace('"', " "))).collect();
    doc! { "$text": { "$search": quoted.join(" "), "$language": "none" } }
}
