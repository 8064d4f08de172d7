//! What can be done with a resource.

use std::fmt;
use std::str::FromStr;

use http::Method;

use crate::ConfigError;

/// One of the operations on a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// `GET` on the collection.
    List,
    /// `POST` on the collection.
    Create,
    /// `GET` on an item.
    Get,
    /// `PUT` on an item.
    Replace,
    /// `PATCH` on an item.
    Patch,
    /// `DELETE` on an item.
    Delete,
    /// `GET` on `_count` below the collection.
    Count,
    /// `GET` on `_group` below the collection: what rows have in common, and what is computed over them.
    Group,
    /// `GET` on `_export` below the collection.
    Export,
    /// `POST` on `_import` below the collection: adds rows that come in lines (NDJSON).
    Import,
    /// `GET` on `_deleted` below the collection: the rows that are marked as deleted.
    Deleted,
    /// `POST` on `_restore` below an item that is marked as deleted.
    Restore,
    /// `GET` on `_changes` below the collection: what changes, as it happens.
    Changes,
    /// `QUERY` on the collection: a list whose filters are in the body.
    Query,
    /// `PATCH` on the collection: changes all rows that a filter holds for.
    PatchMany,
    /// `DELETE` on the collection: removes all rows that a filter holds for.
    DeleteMany,
}

impl Op {
    /// Those that are served unless others are named.
    pub const CORE: [Self; 6] = [Self::List, Self::Create, Self::Get, Self::Replace, Self::Patch, Self::Delete];

    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::List,
        Self::Create,
        Self::Get,
        Self::Replace,
        Self::Patch,
        Self::Delete,
        Self::Count,
        Self::Group,
        Self::Export,
        Self::Import,
        Self::Deleted,
        Self::Restore,
        Self::Changes,
        Self::Query,
        Self::PatchMany,
        Self::DeleteMany,
    ];

    /// Its name in small letters: `list`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Create => "create",
            Self::Get => "get",
            Self::Replace => "replace",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Count => "count",
            Self::Group => "group",
            Self::Export => "export",
            Self::Import => "import",
            Self::Deleted => "deleted",
            Self::Restore => "restore",
            Self::Changes => "changes",
            Self::Query => "query",
            Self::PatchMany => "patch_many",
            Self::DeleteMany => "delete_many",
        }
    }

    /// The method that asks for it.
    pub const fn method(self) -> Method {
        match self {
            Self::List | Self::Get | Self::Count | Self::Group | Self::Export | Self::Deleted | Self::Changes => {
                Method::GET
            }
            Self::Query => Method::QUERY,
            Self::Create | Self::Import | Self::Restore => Method::POST,
            Self::Replace => Method::PUT,
            Self::Patch | Self::PatchMany => Method::PATCH,
            Self::Delete | Self::DeleteMany => Method::DELETE,
        }
    }

    /// The media types that its body may be of; none where it has no body.
    pub const fn accepts(self) -> &'static [&'static str] {
        match self {
            Self::Create | Self::Replace | Self::Query => &["application/json"],
            Self::Import => &["application/x-ndjson", "application/ndjson", "application/jsonl"],
            Self::Patch | Self::PatchMany => &["application/merge-patch+json", "application/json"],
            _ => &[],
        }
    }

    /// Whether its path holds an id.
    pub const fn is_on_item(self) -> bool {
        matches!(self, Self::Get | Self::Replace | Self::Patch | Self::Delete | Self::Restore)
    }

    /// The segment below the collection or the item that it has for itself; no id begins with `_`.
    pub const fn segment(self) -> Option<&'static str> {
        match self {
            Self::Count => Some("_count"),
            Self::Group => Some("_group"),
            Self::Export => Some("_export"),
            Self::Import => Some("_import"),
            Self::Deleted => Some("_deleted"),
            Self::Restore => Some("_restore"),
            Self::Changes => Some("_changes"),
            _ => None,
        }
    }

    /// Whether it changes rows.
    pub const fn is_write(self) -> bool {
        self.is_on_many()
            || self.makes_rows()
            || matches!(self, Self::Replace | Self::Patch | Self::Delete | Self::Restore)
    }

    /// Whether it adds rows, as policies and hooks of [`Op::Create`] are asked.
    pub const fn makes_rows(self) -> bool {
        matches!(self, Self::Create | Self::Import)
    }

    /// Whether caches may keep what it answers.
    pub(super) const fn is_cached(self) -> bool {
        matches!(self, Self::List | Self::Get | Self::Count | Self::Group)
    }

    /// Whether it is done once, however often it comes with the same `Idempotency-Key`.
    pub(super) const fn takes_key(self) -> bool {
        matches!(self, Self::Create | Self::Patch)
    }

    /// Whether hooks may stand before and after it.
    pub(super) const fn is_hooked(self) -> bool {
        matches!(self, Self::Create | Self::Replace | Self::Patch | Self::Delete)
    }

    /// Whether it changes all rows that a filter holds for.
    pub const fn is_on_many(self) -> bool {
        matches!(self, Self::PatchMany | Self::DeleteMany)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Op {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        Self::ALL.into_iter().find(|op| op.as_str() == name).ok_or_else(|| {
            ConfigError::new(format!("{name:?} is not a CRUD operation"))
                .cure(format!("choose from {}", Self::ALL.map(Self::as_str).join(", ")))
        })
    }
}
