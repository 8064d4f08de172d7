use std::time::Duration;

use tokio::sync::Semaphore;
use tower_layer::Layer;

use super::LoadShed;
use super::capacity::Capacity;
use crate::ConfigError;

/// Applies [`LoadShed`]; see the [module](super) for examples.
#[derive(Debug, Clone)]
#[must_use]
pub struct LoadShedLayer {
    capacity: Capacity,
}

impl LoadShedLayer {
    /// Lets so many requests be under way at a time.
    ///
    /// # Errors
    /// When that is none, or more than can be counted.
    pub fn new(max_concurrent: usize) -> Result<Self, ConfigError> {
        if max_concurrent == 0 {
            return Err(ConfigError::new("LoadShed: max_concurrent is 0, so every request would be refused")
                .cure("give a whole number from 1"));
        }
        countable("max_concurrent", max_concurrent)?;
        Ok(Self { capacity: Capacity::new(max_concurrent) })
    }

    /// Lets so many more wait for their turn, each for `wait` at most.
    ///
    /// # Errors
    /// When these are more than can be counted, or would wait for no time.
    pub fn queue(mut self, places: usize, wait: Duration) -> Result<Self, ConfigError> {
        countable("queue", places)?;
        if places > 0 && wait.is_zero() {
            return Err(ConfigError::new("LoadShed: requests in the queue would wait for no time")
                .cure("give the time that they may wait, or leave the queue out"));
        }
        self.capacity.queue(places, wait);
        Ok(self)
    }
}

fn countable(field: &str, count: usize) -> Result<(), ConfigError> {
    if count <= Semaphore::MAX_PERMITS {
        return Ok(());
    }
    Err(ConfigError::new(format!("LoadShed: {field} is {count}"))
        .cure(format!("give a whole number up to {}", Semaphore::MAX_PERMITS)))
}

impl<S> Layer<S> for LoadShedLayer {
    type Service = LoadShed<S>;

    fn layer(&self, inner: S) -> LoadShed<S> {
        LoadShed { inner, capacity: self.capacity.clone() }
    }
}
