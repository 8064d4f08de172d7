//! Settings as Python writes them: JSON.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::inherited;
use crate::ConfigError;
use crate::python::form::Limits;
use crate::service::Requirement;
use crate::service::server::Server;

/// The app's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AppSettings {
    #[serde(default)]
    pub(super) store: Option<String>,
    #[serde(default)]
    pub(super) location: String,
    #[serde(default)]
    pub(super) sync_threads: Option<usize>,
    /// `auto` or `never`.
    #[serde(default)]
    pub(super) migrate: Option<String>,
    /// How the command line names the app.
    #[serde(default)]
    pub(super) target: Option<String>,
    /// Whether it is being developed.
    #[serde(default)]
    pub(super) debug: bool,
    /// What forms may hold.
    #[serde(default)]
    pub(super) forms: Option<Limits>,
}

/// A CRUD resource's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CrudSettings<'a> {
    pub(super) path: String,
    pub(super) ops: Vec<String>,
    /// By operation; none is open, an empty list asks for anybody who is known.
    pub(super) auth: std::collections::BTreeMap<String, Option<Vec<Requirement>>>,
    /// The operations that are meant to be open.
    pub(super) public: Vec<String>,
    #[serde(borrow, default)]
    pub(super) policy: Option<&'a RawValue>,
    pub(super) client_id: bool,
    pub(super) default_limit: usize,
    pub(super) max_limit: usize,
    /// None leaves it to the app.
    pub(super) body_limit: Option<usize>,
    pub(super) import_limit: usize,
    pub(super) max_affected: u64,
    pub(super) gone: bool,
    /// `allow`, `warn` or `deny`.
    pub(super) unindexed: String,
    pub(super) filterable: Option<Vec<String>>,
    pub(super) sortable: Option<Vec<String>>,
    pub(super) expandable: bool,
    pub(super) dimensions: Vec<String>,
    pub(super) read_from: std::collections::BTreeMap<String, String>,
    pub(super) measures: Vec<String>,
    pub(super) offset: bool,
    pub(super) envelope: bool,
    pub(super) cache: Option<String>,
    pub(super) upsert: bool,
    pub(super) bulk: bool,
    pub(super) idempotency: bool,
    /// `optional` or `required`.
    pub(super) concurrency: String,
    /// `strict` or `pydantic`.
    pub(super) coerce: String,
    /// `problem` or `fastapi`.
    pub(super) errors: String,
    pub(super) location: String,
    /// Places of layers that were made for routes, and names of the app's that are skipped.
    pub(super) layers: Vec<usize>,
    pub(super) skip_layers: Vec<String>,
    /// Whether a layer refuses everybody without a token.
    pub(super) closed: bool,
    /// What the class of hooks is called, and which it has, as `before_create`.
    pub(super) hooks_of: String,
    pub(super) hooks: Vec<String>,
    /// Where what some of them take more stands among the handlers.
    pub(super) hook_plans: std::collections::BTreeMap<String, usize>,
    /// The place of its handlers of exceptions.
    pub(super) catch: Option<usize>,
}

/// A native route's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NativeSettings {
    /// None is open, an empty list asks for any valid token.
    pub(super) auth: Option<Vec<Requirement>>,
    /// Places of layers that were made for routes, and names of the app's that are skipped.
    pub(super) layers: Vec<usize>,
    pub(super) skip_layers: Vec<String>,
    /// The place of its handlers of exceptions.
    pub(super) catch: Option<usize>,
    pub(super) location: String,
}

pub(super) fn parse<'a, T: Deserialize<'a>>(json: &'a str, what: &str) -> Result<T, ConfigError> {
    serde_json::from_str(json).map_err(|error| {
        let text = error.to_string();
        // The position is one in JSON that the user never wrote.
        ConfigError::new(format!("{what}: {}", text.split(" at line ").next().unwrap_or(&text)))
    })
}

/// The server's, named as the methods of `ServerBuilder`; times are seconds.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ServerSettings {
    /// Of a socket that listens already.
    fd: Option<i32>,
    backlog: Option<u32>,
    reuse_port: Option<bool>,
    first_byte_timeout: Option<f64>,
    head_timeout: Option<f64>,
    keep_alive_timeout: Option<f64>,
    body_timeout: Option<f64>,
    write_timeout: Option<f64>,
    drain_timeout: Option<f64>,
    max_head_bytes: Option<usize>,
    max_head_fields: Option<usize>,
    max_uri_bytes: Option<usize>,
    max_connections: Option<usize>,
    max_streams: Option<u32>,
    proxy_protocol: Option<Vec<String>>,
}

pub(super) fn server(host: String, port: u16, json: &str) -> Result<Server, ConfigError> {
    let given: ServerSettings = parse(json, "server settings")?;
    let mut builder = Server::builder().host(host).port(port);
    macro_rules! take {
        ($($name:ident),*) => { $(if let Some(value) = given.$name { builder = builder.$name(value); })* };
    }
    macro_rules! take_seconds {
        ($($name:ident),*) => { $(if let Some(seconds) = given.$name {
            let time = Duration::try_from_secs_f64(seconds).map_err(|_| {
                ConfigError::new(format!("{} is {seconds}, which is not a time", stringify!($name)))
                    .cure("give a number of seconds")
            })?;
            builder = builder.$name(time);
        })* };
    }
    take!(backlog, reuse_port, max_head_bytes, max_head_fields, max_uri_bytes, max_connections, max_streams);
    take_seconds!(first_byte_timeout, head_timeout, keep_alive_timeout, body_timeout, write_timeout, drain_timeout);
    if let Some(fd) = given.fd {
        builder = builder.listener(inherited::listener(fd)?);
    }
    if let Some(networks) = given.proxy_protocol {
        builder = builder.proxy_protocol(networks)?;
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_settings_are_checked() {
        assert!(server("127.0.0.1".into(), 0, r#"{"drain_timeout": 1.5, "backlog": 8}"#).is_ok());
        let error = server("127.0.0.1".into(), 0, r#"{"drain_time": 1}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `drain_time`") && !error.contains("line"), "{error}");
        assert!(
            server("127.0.0.1".into(), 0, r#"{"drain_timeout": -1}"#)
                .unwrap_err()
                .to_string()
                .contains("drain_timeout")
        );
        assert!(server("127.0.0.1".into(), 0, r#"{"proxy_protocol": ["10.0.0.0/8"]}"#).is_ok());
        let error = server("127.0.0.1".into(), 0, r#"{"proxy_protocol": ["*"]}"#).unwrap_err().to_string();
        assert!(error.starts_with("proxy_protocol holds \"*\", which is no network; "), "{error}");
    }
}
