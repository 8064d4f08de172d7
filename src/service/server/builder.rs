//! Settings of a server.

use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::bound::Serve;
use super::{BoundServer, Drained, ServeError, listener};
use crate::ConfigError;
use crate::service::network;

/// What hyper needs as a buffer at least.
const MIN_HEAD_BYTES: usize = 8192;

/// Deadlines and limits of every connection.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) first_byte: Duration,
    pub(super) head: Duration,
    pub(super) keep_alive: Duration,
    pub(super) body: Duration,
    pub(super) body_rate: u32,
    pub(super) write: Duration,
    pub(super) drain: Duration,
    pub(super) head_bytes: usize,
    pub(super) head_fields: usize,
    pub(super) uri_bytes: usize,
    pub(super) connections: usize,
    pub(super) streams: u32,
    pub(super) ping_interval: Duration,
    pub(super) ping_timeout: Duration,
    /// Where connections begin with a PROXY header.
    pub(super) proxies: Vec<IpNet>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(10),
            head: Duration::from_secs(10),
            // Longer than the 60 s for which proxies usually keep an idle upstream connection: the proxy closes first, and
            // no request meets a connection that we are closing.
            keep_alive: Duration::from_secs(75),
            body: Duration::from_secs(30),
            body_rate: 240,
            write: Duration::from_secs(30),
            drain: Duration::from_secs(30),
            head_bytes: 64 * 1024,
            head_fields: 100,
            uri_bytes: 16 * 1024,
            connections: 10_000,
            streams: 100,
            ping_interval: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(10),
            proxies: Vec::new(),
        }
    }
}

/// Collects the settings of a [`Server`].
#[derive(Debug)]
#[must_use]
pub struct ServerBuilder {
    host: String,
    port: u16,
    backlog: u32,
    reuse_port: bool,
    listener: Option<TcpListener>,
    settings: Settings,
}

impl Default for ServerBuilder {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8000,
            backlog: 2048,
            reuse_port: false,
            listener: None,
            settings: Settings::default(),
        }
    }
}

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $($field:ident).+;)*) => {
        $($(#[$doc])*
        pub fn $name(mut self, $name: $type) -> Self {
            self.$($field).+ = $name;
            self
        })*
    };
}

impl ServerBuilder {
    /// The name or address to listen on; `127.0.0.1` unless told.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Serves on a socket that is bound already, as one inherited from a supervisor; host and port are not used then.
    pub fn listener(mut self, listener: TcpListener) -> Self {
        self.listener = Some(listener);
        self
    }

    /// Proxies with these addresses, or in these networks, begin a connection with a header that says whose it is (PROXY
    /// protocol, versions 1 and 2); nobody unless told.
    ///
    /// What they say is then [`peer_addr`](super::ConnectInfo::peer_addr). A connection of theirs without such a header is closed;
    /// the header may take as long as the [first byte](Self::first_byte_timeout) of others. Connections from elsewhere are served
    /// as they come, and a header there is a malformed request.
    ///
    /// # Errors
    /// When one is no network, or that of all addresses; the error names it.
    pub fn proxy_protocol(mut self, networks: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, ConfigError> {
        let networks = networks.into_iter().map(|text| network("proxy_protocol", text.as_ref(), ""));
        self.settings.proxies = networks.collect::<Result<_, _>>()?;
        Ok(self)
    }

    settings! {
        /// The port to listen on; 8000 unless told, any free one when 0.
        port: u16 = port;
        /// How many connections the system may hold before they are accepted; 2048 unless told.
        backlog: u32 = backlog;
        /// Whether several processes may listen on the same port; not unless told.
        reuse_port: bool = reuse_port;
        /// How long a new connection may stay silent; 10 s unless told.
        first_byte_timeout: Duration = settings.first_byte;
        /// How long a request head may take from its first byte; 10 s unless told.
        head_timeout: Duration = settings.head;
        /// How long a connection may idle between requests; 75 s unless told.
        keep_alive_timeout: Duration = settings.keep_alive;
        /// How long a request body may pause while it is being read; 30 s unless told.
        body_timeout: Duration = settings.body;
        /// The bytes a second that a slow request body must reach on average; 240 unless told, 0 for no minimum.
        body_min_rate: u32 = settings.body_rate;
        /// How long a client may take no byte of a response that is ready; 30 s unless told.
        write_timeout: Duration = settings.write;
        /// How long requests in flight may take to finish after the server was told to stop; 30 s unless told.
        drain_timeout: Duration = settings.drain;
        /// The largest request head in bytes, and the size of a connection's buffers; 64 KiB unless told.
        max_head_bytes: usize = settings.head_bytes;
        /// The largest number of header fields of an HTTP/1 request; 100 unless told.
        max_head_fields: usize = settings.head_fields;
        /// The largest request target in bytes; 16 KiB unless told.
        max_uri_bytes: usize = settings.uri_bytes;
        /// The largest number of open connections; 10 000 unless told, and never so many that 64 descriptors are not left
        /// for files and stores.
        max_connections: usize = settings.connections;
        /// The largest number of concurrent streams of an HTTP/2 connection; 100 unless told.
        max_streams: u32 = settings.streams;
        /// How often an HTTP/2 peer is asked whether it is still there; 30 s unless told.
        ping_interval: Duration = settings.ping_interval;
        /// How long an HTTP/2 peer may take to say that it is still there; 10 s unless told.
        ping_timeout: Duration = settings.ping_timeout;
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// Names the setting that makes no sense.
    pub fn build(self) -> Result<Server, ConfigError> {
        let s = &self.settings;
        let zero = [
            ("first_byte_timeout", s.first_byte),
            ("head_timeout", s.head),
            ("keep_alive_timeout", s.keep_alive),
            ("body_timeout", s.body),
            ("write_timeout", s.write),
            ("ping_interval", s.ping_interval),
            ("ping_timeout", s.ping_timeout),
        ];
        if let Some((name, _)) = zero.iter().find(|(_, time)| time.is_zero()) {
            return Err(ConfigError::new(format!("{name} is zero")).cure("give it a time in which a client can act"));
        }
        let counts = [
            ("backlog", self.backlog as usize),
            ("max_head_fields", s.head_fields),
            ("max_uri_bytes", s.uri_bytes),
            ("max_connections", s.connections),
            ("max_streams", s.streams as usize),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(ConfigError::new(format!("{name} is 0, so nothing could be served")).cure("give at least 1"));
        }
        if s.head_bytes < MIN_HEAD_BYTES {
            let what = format!("max_head_bytes is {}", s.head_bytes);
            return Err(ConfigError::new(what).cure(format!("give at least {MIN_HEAD_BYTES}")));
        }
        if self.host.is_empty() {
            return Err(ConfigError::new("the host is empty").cure("write \"0.0.0.0\" for every IPv4 address"));
        }
        Ok(Server(self))
    }
}

/// A server that is not bound yet.
#[derive(Debug)]
pub struct Server(ServerBuilder);

impl Server {
    /// Starts with the default settings.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// Binds the address, so that connections queue up and the port is known.
    ///
    /// # Errors
    /// When the address cannot be bound; the error names it.
    pub fn bind(self) -> Result<BoundServer, ServeError> {
        let Self(ServerBuilder { host, port, backlog, reuse_port, listener, settings }) = self;
        let listener = match listener {
            Some(listener) => listener,
            None => {
                let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
                listener::bind(&host, port, backlog, reuse_port)
                    .map_err(|source| ServeError::Bind { address: format!("{host}:{port}"), source })?
            }
        };
        BoundServer::new(listener, Arc::new(settings))
    }

    /// Binds the address and serves until `shutdown` is ready; see [`BoundServer::serve`].
    ///
    /// # Errors
    /// As [`bind`](Self::bind) and [`BoundServer::serve`].
    pub async fn serve<S>(self, service: S, shutdown: impl Future<Output = ()>) -> Result<Drained, ServeError>
    where
        S: Serve,
    {
        self.bind()?.serve(service, shutdown).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(builder: ServerBuilder) -> String {
        builder.build().map(|_| String::new()).unwrap_or_else(|e| e.to_string())
    }

    #[test]
    fn senseless_settings_are_named() {
        assert!(error(Server::builder().head_timeout(Duration::ZERO)).contains("head_timeout"));
        assert!(error(Server::builder().max_connections(0)).contains("max_connections"));
        assert!(error(Server::builder().max_head_bytes(10)).contains("max_head_bytes"));
        assert!(error(Server::builder().host("")).contains("host is empty"));
        assert_eq!(error(Server::builder()), "");
    }

    #[test]
    fn a_taken_port_is_named() -> Result<(), Box<dyn std::error::Error>> {
        let first = Server::builder().port(0).build()?.bind()?;
        let port = first.local_addr().port();
        let second = Server::builder().port(port).build()?.bind().map(|_| ()).unwrap_err();
        assert!(second.to_string().contains(&format!("127.0.0.1:{port}")), "{second}");
        Ok(())
    }
}
