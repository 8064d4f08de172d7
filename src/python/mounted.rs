//! Apps within apps: a whole stack as a leaf of another, below a path.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;
use tower_service::Service;

use super::objects::SurroundingsId;
use crate::ConfigError;
use crate::service::{PathParams, PathTemplate, Request, Response, Stack};

/// Below which path of the whole request its present path is; a request extension.
#[derive(Debug, Clone)]
pub(super) struct MountedAt(Arc<str>);

impl MountedAt {
    /// `path` as it is written in code, without the slash at its end.
    ///
    /// # Errors
    /// When it is no path, or has parameters.
    pub(super) fn new(path: &str) -> Result<Self, ConfigError> {
        if path.is_empty() {
            return Ok(Self(Arc::from("")));
        }
        let template = PathTemplate::parse(path)?;
        if !template.names().is_empty() {
            return Err(ConfigError::new(format!("an app is mounted at {path}, which has parameters"))
                .cure("mount it at a path without, and read them in the app"));
        }
        Ok(Self(template.shape().into()))
    }

    /// As it stands in requests.
    pub(super) fn raw(&self) -> &str {
        &self.0
    }

    /// Decoded.
    pub(super) fn text(&self) -> Cow<'_, str> {
        percent_decode_str(&self.0).decode_utf8_lossy()
    }

    /// The same in an app that is mounted itself.
    pub(super) fn within(&self, outer: Option<&Self>) -> Self {
        match outer {
            None => self.clone(),
            Some(outer) => Self(format!("{}{}", outer.0, self.0).into()),
        }
    }
}

/// The templates of all paths at and below `path`.
pub(super) fn paths(path: &str) -> Vec<String> {
    match path {
        "" => vec!["/".to_owned(), "/{path:path}".to_owned()],
        path => vec![path.to_owned(), format!("{path}/"), format!("{path}/{{path:path}}")],
    }
}

/// Hands requests to another stack, which sees of the path what comes behind its own place.
#[derive(Clone)]
pub(super) struct Mounted {
    at: MountedAt,
    stack: Stack,
}

impl Mounted {
    pub(super) fn new(at: MountedAt, stack: Stack) -> Self {
        Self { at, stack }
    }
}

impl Service<Request> for Mounted {
    type Response = Response;
    type Error = Infallible;
    type Future = <Stack as Service<Request>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request>::poll_ready(&mut self.stack, cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        if let Some(uri) = below(request.uri(), self.at.raw()) {
            *request.uri_mut() = uri;
        }
        let extensions = request.extensions_mut();
        // They are of the app outside: places among its objects, and a rest of the path that is the whole here.
        extensions.remove::<SurroundingsId>();
        extensions.remove::<PathParams>();
        let at = self.at.within(extensions.get());
        extensions.insert(at);
        self.stack.call(request)
    }
}

/// `uri` without `root` before its path.
fn below(uri: &Uri, root: &str) -> Option<Uri> {
    if root.is_empty() {
        return None;
    }
    let target = uri.path_and_query()?.as_str().strip_prefix(root)?;
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_an_app_is_taken_off_paths() {
        let rest = |uri: &str| below(&uri.parse().unwrap(), "/v2").map(|uri| uri.to_string());
        assert_eq!(rest("/v2/users?q=1").as_deref(), Some("/users?q=1"));
        assert_eq!(rest("/v2").as_deref(), Some("/"));
        assert_eq!(rest("/v2?q=1").as_deref(), Some("/?q=1"));
        assert_eq!(rest("http://host/v2/").as_deref(), Some("http://host/"));
        assert_eq!(rest("/other"), None);
    }

    #[test]
    fn places_are_paths_without_parameters() {
        let inner = MountedAt::new("/café").unwrap();
        assert_eq!((inner.raw(), &*inner.text()), ("/caf%C3%A9", "/café"));
        let outer = MountedAt::new("/v2").unwrap();
        assert_eq!(inner.within(Some(&outer)).text(), "/v2/café");
        assert!(MountedAt::new("/{team}").unwrap_err().to_string().contains("which has parameters"));
        assert!(MountedAt::new("v2").is_err());
    }
}
