//! What a route says of its sockets.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use tungstenite::protocol::WebSocketConfig;

use super::origin::Origins;
use crate::ConfigError;

/// How much is read from the socket at once. Each socket has a buffer of this size as long as it is open, so it is small. A longer message has
/// its room reserved when its head has come.
const READ_BUFFER: usize = 2 * 1024;
/// How much is gathered before it is written to the socket, without waiting for more.
const WRITE_BUFFER: usize = 16 * 1024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::python) struct Settings {
    pub(super) origins: Origins,
    /// Those that the route speaks, the best first.
    pub(super) subprotocols: Vec<String>,
    pub(super) max_message_bytes: usize,
    /// How messages are compressed for clients that offer it; none is not at all.
    pub(super) compression: Option<Compressing>,
    /// How many bytes wait for the client before `send` waits as well.
    pub(super) max_queued_bytes: usize,
    #[serde(deserialize_with = "optional_seconds")]
    pub(super) ping_interval: Option<Duration>,
    #[serde(deserialize_with = "seconds")]
    pub(super) ping_timeout: Duration,
    #[serde(deserialize_with = "seconds")]
    pub(super) send_timeout: Duration,
    #[serde(deserialize_with = "seconds")]
    pub(super) close_timeout: Duration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Compressing {
    /// Whether messages go on with what was sent before them.
    pub(super) context: bool,
}

impl Settings {
    /// Reads what Python declared.
    pub(in crate::python) fn parse(json: &str) -> Result<Self, ConfigError> {
        serde_json::from_str(json)
            .map_err(|error| ConfigError::new(format!("the settings of a WebSocket are broken: {error}")))
    }

    pub(super) fn protocol(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_message_size(Some(self.max_message_bytes))
            .max_frame_size(Some(self.max_message_bytes))
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
}

fn optional_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let seconds = Option::<f64>::deserialize(deserializer)?;
    seconds.map(|seconds| Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)).transpose()
}
