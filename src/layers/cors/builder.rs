use std::time::Duration;

use http::header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_LANGUAGE, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use regex::Regex;
use tower_http::cors::{self, AllowHeaders, AllowOrigin, ExposeHeaders};

use super::CorsLayer;
use crate::ConfigError;

/// Settings of a [`CorsLayer`], named as Starlette names them and checked by [`build`](Self::build).
#[derive(Debug, Clone)]
#[must_use]
pub struct CorsBuilder {
    origins: Vec<String>,
    origin_regex: Option<String>,
    methods: Vec<String>,
    headers: Vec<String>,
    credentials: bool,
    expose: Vec<String>,
    max_age: Duration,
}

impl Default for CorsBuilder {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            origin_regex: None,
            methods: vec!["GET".to_owned()],
            headers: Vec::new(),
            credentials: false,
            expose: Vec::new(),
            max_age: Duration::from_secs(600),
        }
    }
}

fn texts<T: Into<String>>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().map(Into::into).collect()
}

impl CorsBuilder {
    /// Origins that may call, as `https://app.example`, or `*` for all; none by default.
    pub fn allow_origins<T: Into<String>>(mut self, origins: impl IntoIterator<Item = T>) -> Self {
        self.origins = texts(origins);
        self
    }

    /// Also allows origins that this expression matches from end to end.
    pub fn allow_origin_regex(mut self, pattern: impl Into<String>) -> Self {
        self.origin_regex = Some(pattern.into());
        self
    }

    /// Methods that may be used, or `*` for all the usual ones; `GET` by default.
    pub fn allow_methods<T: Into<String>>(mut self, methods: impl IntoIterator<Item = T>) -> Self {
        self.methods = texts(methods);
        self
    }

    /// Request headers that may be sent besides the simple ones, or `*` for all; none by default.
    pub fn allow_headers<T: Into<String>>(mut self, headers: impl IntoIterator<Item = T>) -> Self {
        self.headers = texts(headers);
        self
    }

    /// Whether cookies and `Authorization` may be sent; not by default.
    pub fn allow_credentials(mut self, allow: bool) -> Self {
        self.credentials = allow;
        self
    }

    /// Response headers that pages may read besides the simple ones, or `*` for all; none by default.
    pub fn expose_headers<T: Into<String>>(mut self, headers: impl IntoIterator<Item = T>) -> Self {
        self.expose = texts(headers);
        self
    }

    /// How long browsers may remember a preflight; 10 minutes by default.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// When a value is malformed, or credentials are allowed together with a wildcard.
    pub fn build(self) -> Result<CorsLayer, ConfigError> {
        let layer = cors::CorsLayer::new()
            .allow_origin(self.origin()?)
            .allow_methods(self.methods()?)
            .allow_headers(self.headers()?)
            .expose_headers(self.exposed()?)
            .allow_credentials(self.credentials)
            .max_age(self.max_age);
        Ok(CorsLayer::from_checked(layer))
    }

    fn origin(&self) -> Result<AllowOrigin, ConfigError> {
        if self.origins.iter().any(|origin| origin == "*") {
            if self.credentials {
                return Err(ConfigError::new(
                    "Cors: allow_origins=[\"*\"] together with allow_credentials lets every page act as the user",
                )
                .cure("list the origins, or give allow_origin_regex"));
            }
            if self.origins.len() > 1 || self.origin_regex.is_some() {
                return Err(ConfigError::new("Cors: allow_origins has \"*\" beside other origins")
                    .cure("give \"*\" alone, or list the origins without it"));
            }
            return Ok(AllowOrigin::any());
        }
        let mut allowed = Vec::with_capacity(self.origins.len());
        for origin in &self.origins {
            allowed.push(checked_origin(origin)?);
        }
        let Some(pattern) = &self.origin_regex else { return Ok(AllowOrigin::list(allowed)) };
        let regex = Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
            ConfigError::new(format!("Cors: allow_origin_regex {pattern:?} is not a regular expression: {error}"))
                .cure("give a pattern such as \"https://.*\\\\.example\\\\.com\"")
        })?;
        Ok(AllowOrigin::predicate(move |origin, _| {
            allowed.contains(origin) || origin.to_str().is_ok_and(|text| regex.is_match(text))
        }))
    }

    fn methods(&self) -> Result<Vec<Method>, ConfigError> {
        if self.methods.iter().any(|method| method == "*") {
            return Ok(vec![
                Method::DELETE,
                Method::GET,
                Method::HEAD,
                Method::OPTIONS,
                Method::PATCH,
                Method::POST,
                Method::PUT,
                Method::QUERY,
            ]);
        }
        let method = |name: &String| {
            Method::from_bytes(name.as_bytes()).map_err(|_| {
                ConfigError::new(format!("Cors: {name:?} in allow_methods is not a method"))
                    .cure("give names such as \"POST\", or \"*\"")
            })
        };
        self.methods.iter().map(method).collect()
    }

    fn headers(&self) -> Result<AllowHeaders, ConfigError> {
        if self.headers.iter().any(|header| header == "*") {
            return Ok(AllowHeaders::mirror_request());
        }
        // The simple headers are always allowed; Starlette lists them as well.
        let mut names = vec![ACCEPT, ACCEPT_LANGUAGE, CONTENT_LANGUAGE, CONTENT_TYPE];
        for header in &self.headers {
            let name = header_name("allow_headers", header)?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(AllowHeaders::list(names))
    }

    fn exposed(&self) -> Result<ExposeHeaders, ConfigError> {
        if self.expose.iter().any(|header| header == "*") {
            if self.credentials {
                return Err(ConfigError::new(
                    "Cors: expose_headers=[\"*\"] has no meaning together with allow_credentials",
                )
                .cure("list the headers that pages may read"));
            }
            return Ok(ExposeHeaders::any());
        }
        let names: Result<Vec<_>, _> = self.expose.iter().map(|header| header_name("expose_headers", header)).collect();
        Ok(ExposeHeaders::list(names?))
    }
}

fn header_name(field: &str, name: &str) -> Result<HeaderName, ConfigError> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        ConfigError::new(format!("Cors: {name:?} in {field} is not a header name"))
            .cure("give names such as \"Authorization\", or \"*\"")
    })
}

/// An origin is scheme, host and port, compared byte by byte; anything more would never match.
fn checked_origin(origin: &str) -> Result<HeaderValue, ConfigError> {
    let wrong = || {
        ConfigError::new(format!("Cors: {origin:?} in allow_origins is not an origin"))
            .cure("give scheme, host and port without a path, such as \"https://app.example\"")
    };
    let well_formed = origin == "null"
        || origin.split_once("://").is_some_and(|(scheme, rest)| {
            !scheme.is_empty()
                && !rest.is_empty()
                && !rest.contains(['/', '?', '#', '@', '*', ' '])
                && origin == origin.to_lowercase()
        });
    if !well_formed {
        return Err(wrong());
    }
    HeaderValue::from_str(origin).map_err(|_| wrong())
}
