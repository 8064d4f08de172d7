//! `ziggurat.security`: what apps sign and hash, and the layers check.

use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;
use std::time::Duration;

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use super::bridge::future_into_py;
use super::errors::config_error;
use crate::ConfigError;
use crate::layers::basic::{self, PasswordError};
use crate::layers::jwt::{Algorithm, SignError, Signer};

/// More passwords are not hashed at the same time, however many processors there are: each takes 19 MiB.
const MOST_HASHING: usize = 8;

static HASHING: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(available_parallelism().map_or(1, usize::from).min(MOST_HASHING))));

/// Signs claims, given as JSON, with a secret or a private key as PEM text.
#[pyfunction]
#[pyo3(signature = (claims, key, algorithm, expires_in, kid))]
pub(super) fn sign_token(
    py: Python<'_>,
    claims: &[u8],
    key: &[u8],
    algorithm: Option<&str>,
    expires_in: Option<f64>,
    kid: Option<String>,
) -> PyResult<String> {
    let claims: &RawValue = serde_json::from_slice(claims).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let signer = signer(key, algorithm).map_err(|error| config_error(py, &error))?;
    let signer = match expires_in {
        None => signer,
        Some(seconds) => signer.expires_in(
            Duration::try_from_secs_f64(seconds).map_err(|error| PyValueError::new_err(error.to_string()))?,
        ),
    };
    let signer = match kid {
        None => signer,
        Some(kid) => signer.key_id(kid),
    };
    // That of RSA takes a while.
    py.detach(|| signer.sign(claims)).map_err(|error| match error {
        SignError::Claim { .. } => PyTypeError::new_err(error.to_string()),
        _ => PyValueError::new_err(error.to_string()),
    })
}

fn signer(key: &[u8], algorithm: Option<&str>) -> Result<Signer, ConfigError> {
    let is_pem = key.trim_ascii_start().starts_with(b"-----BEGIN");
    let signer = if is_pem { Signer::private_key_pem(key)? } else { Signer::secret(key)? };
    let Some(name) = algorithm else { return Ok(signer) };
    let known = Algorithm::named(name).ok_or_else(|| ConfigError::new(format!("no token is signed by {name:?}")))?;
    signer.algorithm(known)
}

/// Hashes a password; to be awaited.
#[pyfunction]
pub(super) fn hash_password<'py>(py: Python<'py>, password: &str) -> PyResult<Bound<'py, PyAny>> {
    let password = password.to_owned();
    future_into_py(py, hashing(move || basic::hash_password(password)))
}

/// Whether `hashed` was made of a password; to be awaited.
#[pyfunction]
#[pyo3(signature = (password, hashed))]
pub(super) fn verify_password<'py>(
    py: Python<'py>,
    password: &str,
    hashed: Option<String>,
) -> PyResult<Bound<'py, PyAny>> {
    let password = password.to_owned();
    future_into_py(py, hashing(move || basic::verify_password(password, hashed.as_deref())))
}

/// Whether a hash should be made anew.
#[pyfunction]
pub(super) fn needs_rehash(hashed: &str) -> bool {
    basic::needs_rehash(hashed)
}

/// Does it on a thread for such work, in its turn.
async fn hashing<T: Send + 'static>(work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static) -> PyResult<T> {
    let ended = || PyRuntimeError::new_err("the program ends, and hashes no more passwords");
    let turn = HASHING.clone().acquire_owned().await.map_err(|_| ended())?;
    let work = move || {
        let done = work();
        // With the work and not with whoever waits for it, who may be gone.
        drop(turn);
        done
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| ended())?.map_err(|error| match error {
        PasswordError::TooLong => PyValueError::new_err(error.to_string()),
        PasswordError::NoPhc | PasswordError::OtherAlgorithm | PasswordError::Incomplete => PyValueError::new_err(
            format!("{error}; give what hash_password made, or verify it with the library that made it"),
        ),
        _ => PyRuntimeError::new_err(error.to_string()),
    })
}
