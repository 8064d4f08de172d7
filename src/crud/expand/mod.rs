//! `?expand=author`: rows of other models in the place of their ids.
//!
//! A field that [refers](super::schema::Field::refers_to) to a model holds the id of one of its rows, or a list of them. Each level
//! of an answer asks each model once, under the policy that its own routes have, so that nobody sees more by a detour.

mod plan;
mod rewrite;

pub(super) use plan::Expansion;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::request::Parts;

use super::policy::{Caller, Policy};
use super::query::{Query, Shown, Sort};
use super::schema::{Field, Type, validate};
use super::{Collection, Expr, Op, Path, Resource, Schema, service};
use crate::ConfigError;
use crate::service::{Claims, Problem, Requirement};

/// Ids that are asked for at once.
const AT_ONCE: usize = 500;

/// The models whose rows can stand in the place of their ids, by name.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use ziggurat::crud::{References, Resource, Store};
/// # use ziggurat::service::RouteTableBuilder;
/// # async fn serve(store: impl Store, authors: Resource, books: Resource) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let (author_rows, book_rows) = (authors.open(&store).await?, books.open(&store).await?);
/// let mut references = References::new();
/// references.add(&authors, author_rows.clone());
/// references.add(&books, book_rows.clone());
/// references.check(books.schema())?;
/// let mut table = RouteTableBuilder::new();
/// authors.mount_with(author_rows, &references, &mut table)?;
/// books.mount_with(book_rows, &references, &mut table)?; // GET /book?expand=author
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct References {
    models: HashMap<String, Known>,
}

#[derive(Clone)]
struct Known {
    schema: Arc<Schema>,
    /// As whom they are shown, and where that is said; none where they are shown to nobody.
    shown: Option<(Rule, String)>,
    /// Where something else is said.
    clash: Option<String>,
    /// None until they are there.
    rows: Option<Arc<dyn Model>>,
}

/// Who may read which rows.
#[derive(Clone)]
struct Rule {
    policy: Policy,
    /// What is asked of who reads; none where reading is open.
    asks: Option<Vec<Requirement>>,
}

impl Rule {
    /// As the routes of a resource have it; none when they do not read rows, or guard that in a way that cannot be asked elsewhere.
    fn of(resource: &Resource) -> Option<Self> {
        let options = &resource.options;
        let read = [Op::Get, Op::List].into_iter().find(|op| resource.ops().any(|own| own == *op))?;
        let asks = options.asks.iter().find(|(op, _)| *op == read).map(|(_, requirements)| requirements.clone());
        if !options.expandable || (asks.is_none() && resource.is_guarded(read)) {
            return None;
        }
        // Whom a layer of its own knows is not known to another model's routes.
        if options.layers.iter().any(|layer| Claims::are_found_by(&layer.name)) {
            return None;
        }
        Some(Self { policy: options.policy.clone(), asks: asks.or_else(|| options.closed.then(Vec::new)) })
    }

    fn is_same(&self, other: &Self) -> bool {
        self.policy.reads_as(&other.policy) && self.asks == other.asks
    }
}

impl fmt::Debug for References {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.models.keys()).finish()
    }
}

impl References {
    /// No models.
    pub fn new() -> Self {
        Self::default()
    }

    /// A model that is served: its rows are shown to whom its routes show them. They are shown to nobody when its routes do not read
    /// rows, guard that in a way that cannot be asked here (see [`ResourceOptions::asks`](super::ResourceOptions::asks)), or say so
    /// themselves ([`ResourceOptions::expandable`](super::ResourceOptions::expandable)).
    ///
    /// Resources of one model that differ in who may read which rows are refused by [`check`](Self::check): it would be for chance to
    /// say which of them counts.
    pub fn add(&mut self, resource: &Resource, collection: impl Collection) {
        self.announce(resource);
        let schema = resource.schema().clone();
        let Some(rule) = Rule::of(resource) else { return };
        let Some(known) = self.models.get_mut(&schema.name).filter(|known| known.rows.is_none()) else { return };
        if known.shown.as_ref().is_some_and(|(shown, _)| shown.is_same(&rule)) {
            known.rows = Some(Arc::new(Served { schema, collection, rule }));
        }
    }

    /// A resource that will be [added](Self::add), so that [`check`](Self::check) knows of it before its collection is open.
    pub fn announce(&mut self, resource: &Resource) {
        self.mention(resource.schema());
        let Some(known) = self.models.get_mut(&resource.schema().name) else { return };
        let Some(rule) = Rule::of(resource) else { return };
        match &known.shown {
            None => known.shown = Some((rule, resource.path().to_owned())),
            Some((shown, _)) if !shown.is_same(&rule) => known.clash = Some(resource.path().to_owned()),
            Some(_) => {}
        }
    }

    /// A model that may be referred to, and whose rows are shown to nobody unless it is [added](Self::add), too.
    pub fn mention(&mut self, schema: &Arc<Schema>) {
        let known = || Known { schema: schema.clone(), shown: None, clash: None, rows: None };
        self.models.entry(schema.name.clone()).or_insert_with(known);
    }

    fn get(&self, name: &str) -> Option<&Arc<dyn Model>> {
        self.models.get(name)?.rows.as_ref()
    }

    /// That what `schema` refers to is there, told by ids of the same type, and shown in one way.
    ///
    /// # Errors
    /// When it is not; the error names the field.
    pub fn check(&self, schema: &Schema) -> Result<(), ConfigError> {
        self.check_fields(schema, &schema.name, true)
    }

    fn check_fields(&self, schema: &Schema, place: &str, is_shown: bool) -> Result<(), ConfigError> {
        for field in &schema.fields {
            let place = format!("{place}.{}", field.name);
            let is_shown = is_shown && field.access.is_shown();
            if let Some(nested) = inside(field) {
                self.check_fields(nested, &place, is_shown)?;
            }
            let Some(name) = &field.reference else { continue };
            match self.models.get(&**name) {
                None => {
                    return Err(ConfigError::new(format!(
                        "{place} refers to {name}, of which no rows are served or kept"
                    ))
                    .cure(format!("serve {name}, or take the reference away")));
                }
                Some(known) if !is_id_of(field, &known.schema) => {
                    return Err(ConfigError::new(format!("{place} is not of the type of the ids of {name}"))
                        .cure("give it the type of that id, optional if you like, or a list of it"));
                }
                Some(Known { shown: Some((_, one)), clash: Some(other), .. }) if is_shown => {
                    return Err(ConfigError::new(format!(
                        "{place} refers to {name}, which is served at {one} and at {other}, where others may read or other rows are there"
                    ))
                    .cure("give expandable=False to all but the one whose rows ?expand= is to show"));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// The model that lies in a field, or in the items of its list; those that lead back into themselves are left alone.
pub(super) fn inside(field: &Field) -> Option<&Schema> {
    let kind = match field.kind.inner().0 {
        Type::List { item, .. } => item.inner().0,
        kind => kind,
    };
    match kind {
        Type::Model(model) if !model.is_back() => Some(model),
        _ => None,
    }
}

fn is_id_of(field: &Field, model: &Schema) -> bool {
    let kind = match field.kind.inner().0 {
        Type::List { item, .. } => item.inner().0,
        kind => kind,
    };
    model.id.is_some_and(|id| std::mem::discriminant(kind) == std::mem::discriminant(&model.fields[id].kind))
}

type Found<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, Problem>> + Send + 'a>>;

/// A model whose rows can be asked for.
trait Model: Send + Sync {
    fn schema(&self) -> &Schema;

    /// Whether the caller may read rows of it at all.
    fn admits(&self, parts: &Parts) -> Result<(), Problem>;

    /// The rows with these ids, given as JSON, that are there for the caller: an array.
    fn rows<'a>(&'a self, ids: Vec<&'a str>, parts: &'a Parts) -> Found<'a>;
}

struct Served<C> {
    schema: Arc<Schema>,
    collection: C,
    rule: Rule,
}

impl<C: Collection> Model for Served<C> {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn admits(&self, parts: &Parts) -> Result<(), Problem> {
        let Some(requirements) = &self.rule.asks else { return Ok(()) };
        let claims = parts.extensions.get::<Claims>();
        if claims.is_some_and(|claims| requirements.iter().all(|requirement| requirement.is_met(claims))) {
            return Ok(());
        }
        Err(Problem::forbidden(format!(
            "the caller may not read rows of {}; leave them out of expand",
            self.schema.name
        )))
    }

    fn rows<'a>(&'a self, ids: Vec<&'a str>, parts: &'a Parts) -> Found<'a> {
        Box::pin(async move {
            let Some(id) = self.schema.id else { return Ok(b"[]".to_vec()) };
            let caller = Caller { schema: &self.schema, claims: parts.extensions.get::<Claims>() };
            let there = self.rule.policy.readable(caller).and(self.schema.alive());
            let mut all = b"[".to_vec();
            for ids in ids.chunks(AT_ONCE) {
                let kind = &self.schema.fields[id].kind;
                let values = ids.iter().filter_map(|text| validate::value(kind, text.as_bytes()).ok());
                let values: Vec<_> = values.map(super::Value::into_owned).collect();
                let filter = Expr::In { field: Path::from(id), values }.and(there.clone());
                let sort = vec![Sort { field: id, descending: false }];
                let query = Query { filter, sort, limit: ids.len(), offset: 0, after: None };
                let page = self.collection.list(query).await.map_err(|error| service::problem(&self.schema, error))?;
                let array = [b"[", &page.items[..], b"]"].concat();
                let shown =
                    Shown::All.rows(&self.schema, &array).map_err(|error| service::internal(&self.schema, &error))?;
                if all.len() > 1 && !shown.is_empty() {
                    all.push(b',');
                }
                all.extend_from_slice(&shown);
            }
            all.push(b']');
            Ok(all)
        })
    }
}
