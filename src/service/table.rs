//! The route table: built at start-up, frozen before the first request.

use std::fmt;
use std::sync::Arc;

use http::Method;

use super::{PathTemplate, Route};
use crate::ConfigError;

/// What answers at a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeafKind {
    /// A Tower service written in Rust.
    Native,
    /// A native CRUD operation.
    Crud,
    /// A Python handler.
    Python,
}

impl LeafKind {
    /// All kinds, in the order of their discriminants.
    pub const ALL: [Self; 3] = [Self::Native, Self::Crud, Self::Python];

    /// `native`, `crud` or `python`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Crud => "crud",
            Self::Python => "python",
        }
    }
}

impl fmt::Display for LeafKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of a leaf without calling it.
///
/// The dispatcher puts an `Arc<LeafInfo>` into the extensions of the request it hands inward, and of the response, so
/// that layers outside can tell which route answered.
#[derive(Debug, Clone)]
pub struct LeafInfo {
    /// The method, or none when the leaf answers every method.
    pub method: Option<Method>,
    /// The path template as it was written.
    pub path: Arc<str>,
    /// What the leaf is called: a function name, `User.list`.
    pub name: String,
    /// What answers.
    pub kind: LeafKind,
    /// Where it was declared, as `file:line`; empty when not known.
    pub location: String,
    /// Names of the layers around this leaf alone, outermost first.
    pub layers: Vec<String>,
    /// Names of the layers around every route that a request to this leaf does not pass.
    pub skips: Vec<String>,
    /// Names of the hooks that this leaf calls while it answers.
    pub hooks: Vec<String>,
    /// The media types that a body may be of; empty when not known, or where there is none.
    pub accepts: &'static [&'static str],
    /// Whether it is asked by WebSocket handshakes; see [`RouteTableBuilder::add_websocket`].
    pub websocket: bool,
}

/// A leaf on its way into a table.
#[derive(Debug, Clone)]
pub struct Leaf {
    pub(super) name: String,
    pub(super) kind: LeafKind,
    pub(super) location: String,
    pub(super) layers: Vec<String>,
    pub(super) skips: Vec<String>,
    pub(super) hooks: Vec<String>,
    pub(super) accepts: &'static [&'static str],
    pub(super) tunnels: bool,
    pub(super) route: Route,
}

impl Leaf {
    /// A leaf called `name` that is answered by `route`.
    pub fn new(name: impl Into<String>, kind: LeafKind, route: Route) -> Self {
        let (layers, skips, hooks) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            name: name.into(),
            kind,
            location: String::new(),
            layers,
            skips,
            hooks,
            accepts: &[],
            tunnels: false,
            route,
        }
    }

    /// Says where it was declared, as `file:line`.
    #[must_use]
    pub fn at(mut self, location: impl Into<String>) -> Self {
        self.location = location.into();
        self
    }

    /// Says which hooks it calls while it answers.
    #[must_use]
    pub fn hooks(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.hooks = names.into_iter().collect();
        self
    }

    /// Says of which media types a body may be. The answer to `OPTIONS` tells those of `PATCH`, `POST` and `QUERY`.
    #[must_use]
    pub const fn accepts(mut self, types: &'static [&'static str]) -> Self {
        self.accepts = types;
        self
    }

    /// Says that it answers any method, and knows what to do with tunnels through HTTP/2 (the extended CONNECT of RFC 8441) as well: as an app
    /// within others does, which hands requests on.
    #[must_use]
    pub const fn tunnels(mut self) -> Self {
        self.tunnels = true;
        self
    }

    /// Says which of the layers around every route a request to this leaf does not pass, by their names.
    #[must_use]
    pub fn skip(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.skips.extend(names.into_iter().map(Into::into));
        self
    }

    /// Wraps this leaf alone; `name` is what the printed stack shows.
    #[must_use]
    pub fn layer(mut self, name: impl Into<String>, wrap: impl FnOnce(Route) -> Route) -> Self {
        self.route = wrap(self.route);
        self.layers.insert(0, name.into());
        self
    }
}

/// Everything that answers at one path.
pub(super) struct PathEntry {
    /// Sorted as it was registered; HEAD and OPTIONS are added by the dispatcher.
    pub(super) methods: Vec<MethodEntry>,
    /// Answers the methods that `methods` does not name.
    pub(super) any: Option<MethodEntry>,
    /// Answers handshakes, and GET where nothing else does.
    pub(super) websocket: Option<MethodEntry>,
    /// The `Allow` header, ready to send.
    pub(super) allow: http::HeaderValue,
    /// What else `OPTIONS` answers: of which media types bodies may be.
    pub(super) accepts: Vec<(http::HeaderName, http::HeaderValue)>,
}

impl PathEntry {
    /// The entry that answers `method`, and whether its body has to be cut off.
    pub(super) fn leaf(&self, method: &Method) -> Option<(&MethodEntry, bool)> {
        let named = |wanted: &Method| self.methods.iter().find(|entry| entry.method.as_ref() == Some(wanted));
        if let Some(entry) = named(method) {
            return Some((entry, false));
        }
        if method == Method::HEAD
            && let Some(entry) = named(&Method::GET)
        {
            return Some((entry, true));
        }
        if let Some(entry) = &self.any {
            return Some((entry, false));
        }
        let is_head = method == Method::HEAD;
        self.websocket.as_ref().filter(|_| is_head || method == Method::GET).map(|entry| (entry, is_head))
    }
}

pub(super) struct MethodEntry {
    pub(super) method: Option<Method>,
    pub(super) names: Arc<[Arc<str>]>,
    pub(super) info: Arc<LeafInfo>,
    /// Whether it takes tunnels, too.
    pub(super) tunnels: bool,
    pub(super) route: Route,
}

/// Collects leaves and refuses conflicting ones.
#[derive(Default)]
pub struct RouteTableBuilder {
    paths: Vec<(PathTemplate, Vec<MethodEntry>)>,
}

impl RouteTableBuilder {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers `method` at `path` with `leaf`; no method means every method that no other leaf at this path names.
    ///
    /// # Errors
    /// When `path` is not a template, or another leaf answers the same method at the same path. The error names both.
    pub fn add(&mut self, method: Option<Method>, path: &str, leaf: Leaf) -> Result<(), ConfigError> {
        self.insert(method, path, leaf, false)
    }

    /// Answers WebSocket handshakes at `path` with `leaf`: GET with `Upgrade: websocket`, and the extended CONNECT of HTTP/2
    /// (RFC 8441). Other requests go to the other leaves at this path; where there is none for GET, to this one, which can tell what to
    /// do instead.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_websocket(&mut self, path: &str, leaf: Leaf) -> Result<(), ConfigError> {
        self.insert(Some(Method::GET), path, leaf, true)
    }

    fn insert(&mut self, method: Option<Method>, path: &str, leaf: Leaf, websocket: bool) -> Result<(), ConfigError> {
        let template = PathTemplate::parse(path).map_err(|e| e.at_if_known(&leaf.location))?;
        let position = self.paths.iter().position(|(other, _)| other.shape() == template.shape());
        let index = match position {
            Some(index) => index,
            None => {
                self.paths.push((template.clone(), Vec::new()));
                self.paths.len() - 1
            }
        };
        let entries = &mut self.paths[index].1;
        let same = |entry: &&MethodEntry| entry.method == method && entry.info.websocket == websocket;
        if let Some(other) = entries.iter().find(same) {
            let verb = match websocket {
                true => "WEBSOCKET",
                false => method.as_ref().map_or("any method", Method::as_str),
            };
            let here = |location: &str| if location.is_empty() { String::new() } else { format!(" ({location})") };
            return Err(ConfigError::new(format!(
                "{verb} {path} is registered twice: {}{} and {}{}",
                other.info.name,
                here(&other.info.location),
                leaf.name,
                here(&leaf.location),
            ))
            .cure("give one of them another path or method"));
        }
        entries.push(MethodEntry {
            method: method.clone(),
            names: template.names().into(),
            info: Arc::new(LeafInfo {
                method,
                path: template.text().clone(),
                name: leaf.name,
                kind: leaf.kind,
                location: leaf.location,
                layers: leaf.layers,
                skips: leaf.skips,
                hooks: leaf.hooks,
                accepts: leaf.accepts,
                websocket,
            }),
            tunnels: leaf.tunnels,
            route: leaf.route,
        });
        Ok(())
    }

    /// Freezes the table.
    ///
    /// # Errors
    /// When two paths cannot be told apart, as `/files/{name}` and `/files/{path:path}`.
    pub fn build(self) -> Result<RouteTable, ConfigError> {
        let mut router = matchit::Router::new();
        let mut leaves: Vec<Arc<LeafInfo>> = Vec::new();
        let mut added: Vec<(PathTemplate, Arc<LeafInfo>)> = Vec::new();
        let whole = allow(self.paths.iter().flat_map(|(_, entries)| entries));
        for (template, mut entries) in self.paths {
            let info = entries[0].info.clone();
            leaves.extend(entries.iter().map(|entry| entry.info.clone()));
            let allow = allow(&entries);
            let accepts = accepts(&entries);
            let websocket = entries.iter().position(|e| e.info.websocket).map(|i| entries.remove(i));
            let any = entries.iter().position(|e| e.method.is_none()).map(|i| entries.remove(i));
            let entry = PathEntry { methods: entries, any, websocket, allow, accepts };
            if let Err(error) = router.insert(template.shape(), entry) {
                let what = match added.iter().find(|(other, _)| other.overlaps(&template)) {
                    Some((_, other)) => {
                        format!("the paths {} and {} cannot be told apart", described(other), described(&info))
                    }
                    None => format!("the path {} cannot be routed: {error}", described(&info)),
                };
                return Err(ConfigError::new(what).cure("give one of them another path"));
            }
            added.push((template, info));
        }
        Ok(RouteTable { router, leaves, allow: whole })
    }
}

/// A path with the leaf that answers there, and where it was written.
fn described(info: &LeafInfo) -> String {
    match info.location.as_str() {
        "" => format!("{} ({})", info.path, info.name),
        location => format!("{} ({}, {location})", info.path, info.name),
    }
}

/// `GET, HEAD, POST, OPTIONS`, in the order of registration.
fn allow<'a>(entries: impl IntoIterator<Item = &'a MethodEntry>) -> http::HeaderValue {
    let mut names: Vec<&str> = Vec::new();
    let mut push = |name| {
        if !names.contains(&name) {
            names.push(name);
        }
    };
    for method in entries.into_iter().filter_map(|entry| entry.method.as_ref()) {
        push(method.as_str());
        if method == Method::GET {
            push("HEAD");
        }
    }
    push("OPTIONS");
    // Method names are tokens, so this is always a header value.
    http::HeaderValue::from_str(&names.join(", ")).unwrap_or(http::HeaderValue::from_static("OPTIONS"))
}

/// `Accept-Patch` (RFC 5789), `Accept-Post` (Linked Data Platform) and `Accept-Query` (draft-ietf-httpbis-safe-method-w-body).
fn accepts(entries: &[MethodEntry]) -> Vec<(http::HeaderName, http::HeaderValue)> {
    let mut headers = Vec::new();
    for info in entries.iter().map(|entry| &entry.info).filter(|info| !info.accepts.is_empty()) {
        let name = match info.method {
            Some(Method::PATCH) => "accept-patch",
            Some(Method::POST) => "accept-post",
            Some(Method::QUERY) => "accept-query",
            _ => continue,
        };
        if let Ok(types) = http::HeaderValue::from_str(&info.accepts.join(", ")) {
            headers.push((http::HeaderName::from_static(name), types));
        }
    }
    headers
}

/// Leaves by path and method. Immutable.
pub struct RouteTable {
    pub(super) router: matchit::Router<PathEntry>,
    leaves: Vec<Arc<LeafInfo>>,
    /// What all leaves together answer: the `Allow` of `OPTIONS *`.
    pub(super) allow: http::HeaderValue,
}

impl RouteTable {
    /// All leaves, grouped by path in the order of registration.
    pub fn leaves(&self) -> &[Arc<LeafInfo>] {
        &self.leaves
    }

    /// The leaf that answers `method` at a concrete `path`.
    pub fn leaf(&self, path: &str, method: &Method) -> Option<&Arc<LeafInfo>> {
        let (entry, _) = self.router.at(path).ok()?.value.leaf(method)?;
        Some(&entry.info)
    }

    /// The template that a concrete `path` matches.
    #[cfg(any(feature = "metrics", feature = "rate-limit"))]
    pub(crate) fn template(&self, path: &str) -> Option<&str> {
        let entry = self.router.at(path).ok()?.value;
        entry.methods.first().or(entry.any.as_ref()).or(entry.websocket.as_ref()).map(|entry| &*entry.info.path)
    }

    /// The leaves that answer at a concrete `path`, such as `/users/1`.
    pub fn at(&self, path: &str) -> Vec<Arc<LeafInfo>> {
        match self.router.at(path) {
            Ok(found) => {
                let PathEntry { methods, any, websocket, .. } = found.value;
                methods.iter().chain(any).chain(websocket).map(|entry| entry.info.clone()).collect()
            }
            Err(_) => Vec::new(),
        }
    }
}

impl fmt::Debug for RouteTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteTable").field("leaves", &self.leaves).finish_non_exhaustive()
    }
}
