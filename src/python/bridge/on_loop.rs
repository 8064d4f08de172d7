//! Python objects on their way through Rust code that is not attached.

use std::fmt;

use pyo3::prelude::*;

use crate::python::pyloop::LoopHandle;
use crate::python::release::release;

/// Something of Python's that travels through futures on the runtime, usually a [`Py`].
///
/// It can be looked at only while attached, and wherever it is dropped it is released on the thread of its loop.
/// [`EventLoop::keep`](super::EventLoop::keep) makes one. As the result of a future for
/// [`future_into_py`](super::future_into_py) it becomes the object again.
pub struct OnLoop<T: Send + 'static> {
    /// Always there, until it is consumed.
    value: Option<T>,
    home: LoopHandle,
}

impl<T: Send + 'static> OnLoop<T> {
    pub(in crate::python) fn new(value: T, home: LoopHandle) -> Self {
        Self { value: Some(value), home }
    }

    /// Lends it.
    pub fn get(&self, _: Python<'_>) -> &T {
        match &self.value {
            Some(value) => value,
            None => unreachable!("only what consumes the guard takes the value"),
        }
    }

    /// Gives it back, on a thread that can drop it.
    pub fn into_inner(self, _: Python<'_>) -> T {
        self.take()
    }

    /// Gives it back on any thread; from here on it is the caller's to release it while attached.
    pub(super) fn take(mut self) -> T {
        match self.value.take() {
            Some(value) => value,
            None => unreachable!("only what consumes the guard takes the value"),
        }
    }
}

impl<T: Send + 'static> Drop for OnLoop<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            release(value, &self.home);
        }
    }
}

impl<T: Send + 'static> fmt::Debug for OnLoop<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Showing the object would need the interpreter.
        f.debug_struct("OnLoop").finish_non_exhaustive()
    }
}

impl<'py, T> IntoPyObject<'py> for OnLoop<T>
where
    T: IntoPyObject<'py> + Send + 'static,
{
    type Target = T::Target;
    type Output = T::Output;
    type Error = T::Error;

    fn into_pyobject(self, py: Python<'py>) -> Result<Self::Output, Self::Error> {
        self.into_inner(py).into_pyobject(py)
    }
}
