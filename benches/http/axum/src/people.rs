//! What lists of people may be asked for: `?active=true`, `?age=gte.30&sort=age`, both with `limit` and `cursor`.

use serde::Deserialize;
use uuid::Uuid;

use crate::model::{Page, User};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeopleQuery {
    #[serde(default = "crate::model::fifty")]
    limit: i64,
    active: Option<bool>,
    age: Option<String>,
    sort: Option<Order>,
    cursor: Option<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Order {
    Id,
    Age,
}

/// A list, with the place after which its page begins.
pub enum List {
    Active { active: bool, after: Uuid, limit: i64 },
    FromAge { age: i64, after: Uuid, limit: i64 },
}

impl PeopleQuery {
    /// None when it makes no sense.
    pub fn list(self) -> Option<List> {
        let limit = self.limit.clamp(1, 1000);
        let cursor = self.cursor.as_deref();
        match (self.active, self.age, self.sort.unwrap_or(Order::Id)) {
            (Some(active), None, Order::Id) => {
                let after = cursor.map_or(Some(Uuid::nil()), |id| id.parse().ok())?;
                Some(List::Active { active, after, limit })
            }
            (None, Some(age), Order::Age) => {
                let least: i64 = age.strip_prefix("gte.")?.parse().ok()?;
                let (age, after) = match cursor {
                    None => (least, Uuid::nil()),
                    Some(cursor) => {
                        let (age, id) = cursor.split_once('.')?;
                        (least.max(age.parse().ok()?), id.parse().ok()?)
                    }
                };
                Some(List::FromAge { age, after, limit })
            }
            _ => None,
        }
    }
}

impl List {
    /// A page of the rows that were found, of which one too many only tells that there is a next page.
    pub fn page(&self, items: Vec<User>) -> Page {
        match self {
            Self::Active { limit, .. } => Page::new(items, *limit),
            Self::FromAge { limit, .. } => {
                Page::with_cursor(items, *limit, |last| format!("{}.{}", last.age, last.id.simple()))
            }
        }
    }
}
