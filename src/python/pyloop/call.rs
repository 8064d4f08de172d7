//! A callback and its arguments, as the loop keeps them.

use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::PyTuple;

/// What is to be called. Up to three arguments lie in place; a tuple is made when somebody asks for one.
pub(super) struct Call {
    pub(super) callback: Py<PyAny>,
    args: Args,
}

enum Args {
    None,
    One(Py<PyAny>),
    Two(Py<PyAny>, Py<PyAny>),
    Three(Py<PyAny>, Py<PyAny>, Py<PyAny>),
    Many(Py<PyTuple>),
}

impl Call {
    /// A call with as many arguments as `count` says, which `arg` gives.
    #[inline]
    pub(super) fn new<'py>(
        callback: Bound<'py, PyAny>,
        count: usize,
        arg: impl Fn(usize) -> Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        let own = |index| arg(index).unbind();
        let args = match count {
            0 => Args::None,
            1 => Args::One(own(0)),
            2 => Args::Two(own(0), own(1)),
            3 => Args::Three(own(0), own(1), own(2)),
            _ => {
                let args = (0..count).map(arg).collect::<Vec<_>>();
                Args::Many(PyTuple::new(callback.py(), args)?.unbind())
            }
        };
        Ok(Self { callback: callback.unbind(), args })
    }

    /// The same with the arguments in a tuple.
    pub(super) fn with_tuple(callback: Bound<'_, PyAny>, args: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let args = args.as_slice();
        Self::new(callback, args.len(), |index| args[index].clone())
    }

    #[inline]
    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        let args = match &self.args {
            Args::None => Args::None,
            Args::One(one) => Args::One(one.clone_ref(py)),
            Args::Two(one, two) => Args::Two(one.clone_ref(py), two.clone_ref(py)),
            Args::Three(one, two, three) => Args::Three(one.clone_ref(py), two.clone_ref(py), three.clone_ref(py)),
            Args::Many(args) => Args::Many(args.clone_ref(py)),
        };
        Self { callback: self.callback.clone_ref(py), args }
    }

    /// Calls it.
    #[inline]
    pub(super) fn run<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let callback = self.callback.bind(py);
        match &self.args {
            Args::None => callback.call0(),
            Args::One(one) => callback.call1((one,)),
            Args::Two(one, two) => callback.call1((one, two)),
            Args::Three(one, two, three) => callback.call1((one, two, three)),
            Args::Many(args) => callback.call1(args.bind(py)),
        }
    }

    /// Drops it by a thread that is known to be attached.
    #[inline]
    pub(super) fn drop_ref(self, py: Python<'_>) {
        let Self { callback, args } = self;
        callback.drop_ref(py);
        match args {
            Args::None => {}
            Args::One(one) => one.drop_ref(py),
            Args::Two(one, two) => [one, two].into_iter().for_each(|arg| arg.drop_ref(py)),
            Args::Three(one, two, three) => [one, two, three].into_iter().for_each(|arg| arg.drop_ref(py)),
            Args::Many(args) => args.drop_ref(py),
        }
    }

    /// The arguments, as asyncio's handles show them.
    pub(super) fn args<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        match &self.args {
            Args::None => Ok(PyTuple::empty(py)),
            Args::One(one) => (one,).into_pyobject(py),
            Args::Two(one, two) => (one, two).into_pyobject(py),
            Args::Three(one, two, three) => (one, two, three).into_pyobject(py),
            Args::Many(args) => Ok(args.bind(py).clone()),
        }
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.callback)?;
        match &self.args {
            Args::None => Ok(()),
            Args::One(one) => visit.call(one),
            Args::Two(one, two) => [one, two].into_iter().try_for_each(|arg| visit.call(arg)),
            Args::Three(one, two, three) => [one, two, three].into_iter().try_for_each(|arg| visit.call(arg)),
            Args::Many(args) => visit.call(args),
        }
    }
}
