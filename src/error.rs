//! Mistakes found before the first request.

use std::fmt;

/// Any error, boxed; what streams and foreign services may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A mistake in how an application is put together, found at start-up.
///
/// It says what was wrong and what would have been right, and where in the user's code it was written when that is
/// known. In Python it is raised as `ziggurat.ConfigError` with the same words.
#[derive(Debug)]
pub struct ConfigError {
    what: String,
    cure: Option<String>,
    location: Option<String>,
}

impl ConfigError {
    /// A mistake, told in one sentence that names the offending value.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), cure: None, location: None }
    }

    /// The value that the text of a setting stands for.
    pub(crate) fn choose<T: Copy>(setting: &str, text: &str, choices: &[(&str, T)]) -> Result<T, Self> {
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return Ok(*value);
        }
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
        let cure = match &names[..] {
            [others @ .., last] if !others.is_empty() => format!("write {} or {last}", others.join(", ")),
            names => format!("write {}", names.concat()),
        };
        Err(Self::new(format!("{setting}={text:?} is not understood")).cure(cure))
    }

    /// Says what to write instead.
    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    /// Says what else is to be done about it.
    #[cfg(feature = "python")]
    pub(crate) fn or(mut self, cure: impl std::fmt::Display) -> Self {
        self.cure = Some(match self.cure {
            Some(first) => format!("{first}; {cure}"),
            None => cure.to_string(),
        });
        self
    }

    /// Says where in the user's code it was written, as `file:line`.
    #[must_use]
    pub fn at(mut self, location: impl Into<String>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// As [`at`](Self::at), unless `location` is empty.
    #[must_use]
    pub fn at_if_known(self, location: &str) -> Self {
        if location.is_empty() { self } else { self.at(location) }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(cure) = &self.cure {
            write!(f, "; {cure}")?;
        }
        if let Some(location) = &self.location {
            write!(f, " (at {location})")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// A request body went past the limit on its length while it was read.
///
/// Readers that meet it answer 413; [`Problem::unreadable`](crate::Problem::unreadable) does so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyTooLarge {
    /// The number of bytes that would have been allowed.
    pub limit: usize,
}

impl fmt::Display for BodyTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the body has more than {} bytes", self.limit)
    }
}

impl std::error::Error for BodyTooLarge {}

/// A request body could not be decompressed while it was read.
///
/// Readers that meet it answer 400 or 413; [`Problem::unreadable`](crate::Problem::unreadable) does so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// It is not what its content coding makes, or was cut off.
    Malformed,
    /// It grew by more than this factor.
    Ratio {
        /// The greatest factor that would have been allowed.
        most: u32,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the content coding of the body is malformed"),
            Self::Ratio { most } => write!(f, "the body has more than {most} times the bytes that were sent"),
        }
    }
}

impl std::error::Error for DecodeError {}
