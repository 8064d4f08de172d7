#![allow(unsafe_code)] // Functions that the interpreter calls without PyO3 in between.
//! The short way into `call_soon` and its kin.
//!
//! They are called for every step of every task, so the usual call does not pass through PyO3's reading of arguments, which
//! costs as much as the rest. Everything that is not usual, be it an argument, debug mode or a closed loop, is left to
//! the method that PyO3 made of the same name, which stands for what these functions do.

use std::ffi::{CStr, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::slice;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyFloat, PyInt, PyString, PyType};

use super::call::Call;
use super::clock;
use super::core::LoopCore;
use super::spawn;

/// Puts the short ways before the methods of the class.
pub(super) fn install(class: &Bound<'_, PyType>) -> PyResult<()> {
    CALL_SOON.install(class)?;
    CALL_SOON_THREADSAFE.install(class)?;
    CALL_LATER.install(class)?;
    CALL_AT.install(class)?;
    CREATE_TASK.install(class)
}

static CALL_SOON: Method = Method::new(
    c"call_soon",
    c"call_soon($self, callback, *args, context=None)\n--\n\nArranges for a callback to be called in the next turn.",
    Method::call::<CallSoon>,
);
static CALL_SOON_THREADSAFE: Method = Method::new(
    c"call_soon_threadsafe",
    c"call_soon_threadsafe($self, callback, *args, context=None)\n--\n\nThe same from any thread; wakes the loop.",
    Method::call::<CallSoonThreadsafe>,
);
static CALL_LATER: Method = Method::new(
    c"call_later",
    c"call_later($self, delay, callback, *args, context=None)\n--\n\nArranges for a callback to be called after `delay` seconds.",
    Method::call::<CallLater>,
);
static CALL_AT: Method = Method::new(
    c"call_at",
    c"call_at($self, when, callback, *args, context=None)\n--\n\nArranges for a callback to be called at an absolute time of the loop's clock.",
    Method::call::<CallAt>,
);

static CREATE_TASK: Method = Method::new(
    c"create_task",
    c"create_task($self, coro, **options)\n--\n\nMakes a task of a coroutine.",
    Method::call::<CreateTask>,
);

/// What a method does in the usual case.
trait Usual {
    fn method() -> &'static Method;

    /// None when the case is not the usual one; nothing has happened then.
    ///
    /// PyO3 does not know that the thread is attached, so nothing in here may drop a `Py`; a `Bound` may be dropped.
    fn call<'py>(
        event_loop: &Bound<'py, LoopCore>,
        arguments: &Arguments<'_, 'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>>;
}

struct CallSoon;

impl Usual for CallSoon {
    fn method() -> &'static Method {
        &CALL_SOON
    }

    #[inline]
    fn call<'py>(
        event_loop: &Bound<'py, LoopCore>,
        arguments: &Arguments<'_, 'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(call) = arguments.call(0)? else { return Ok(None) };
        LoopCore::schedule(event_loop, call, arguments.context.clone()).map(|handle| Some(handle.into_any()))
    }
}

struct CallSoonThreadsafe;

impl Usual for CallSoonThreadsafe {
    fn method() -> &'static Method {
        &CALL_SOON_THREADSAFE
    }

    #[inline]
    fn call<'py>(
        event_loop: &Bound<'py, LoopCore>,
        arguments: &Arguments<'_, 'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(call) = arguments.call(0)? else { return Ok(None) };
        LoopCore::schedule_threadsafe(event_loop, call, arguments.context.clone()).map(|handle| Some(handle.into_any()))
    }
}

struct CallLater;

impl Usual for CallLater {
    fn method() -> &'static Method {
        &CALL_LATER
    }

    #[inline]
    fn call<'py>(
        event_loop: &Bound<'py, LoopCore>,
        arguments: &Arguments<'_, 'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(delay) = arguments.seconds(0)? else { return Ok(None) };
        let Some(call) = arguments.call(1)? else { return Ok(None) };
        let when = clock::seconds(clock::now_ns()) + delay;
        LoopCore::schedule_at(event_loop, when, call, arguments.context.clone()).map(|timer| Some(timer.into_any()))
    }
}

struct CallAt;

impl Usual for CallAt {
    fn method() -> &'static Method {
        &CALL_AT
    }

    #[inline]
    fn call<'py>(
        event_loop: &Bound<'py, LoopCore>,
        arguments: &Arguments<'_, 'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(when) = arguments.seconds(0)? else { return Ok(None) };
        let Some(call) = arguments.call(1)? else { return Ok(None) };
        LoopCore::schedule_at(event_loop, when, call, arguments.context.clone()).map(|timer| Some(timer.into_any()))
    }
}

struct CreateTask;

impl Usual for CreateTask {
    fn method() -> &'static Method {
        &CREATE_TASK
    }

    #[inline]
    fn call<'py>(
        event_loop: &Bound<'py, LoopCore>,
        arguments: &Arguments<'_, 'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match (arguments.get(0), arguments.get(1), &arguments.context) {
            (Some(coro), None, None) => spawn::task(event_loop, &coro, None).map(Some),
            _ => Ok(None),
        }
    }
}

/// The arguments of a call.
struct Arguments<'a, 'py> {
    py: Python<'py>,
    positional: &'a [*mut ffi::PyObject],
    context: Option<Bound<'py, PyAny>>,
}

impl<'a, 'py> Arguments<'a, 'py> {
    /// None when there is a keyword that is not `context`.
    ///
    /// # Safety
    ///
    /// The arguments are those of a vectorcall that goes on while this lives.
    #[inline]
    unsafe fn new(
        py: Python<'py>,
        args: *const *mut ffi::PyObject,
        count: ffi::Py_ssize_t,
        names: *mut ffi::PyObject,
    ) -> Option<Self> {
        let count = usize::try_from(count).ok()?;
        let positional = if count == 0 {
            &[]
        } else {
            // SAFETY: that many positional arguments lie there.
            unsafe { slice::from_raw_parts(args, count) }
        };
        if names.is_null() {
            return Some(Self { py, positional, context: None });
        }
        // SAFETY: the names are a tuple of strings, and their values follow the positional arguments.
        let context = unsafe {
            if ffi::PyTuple_GET_SIZE(names) != 1 || !is_context(py, ffi::PyTuple_GET_ITEM(names, 0)) {
                return None;
            }
            Bound::from_borrowed_ptr(py, *args.add(count))
        };
        Some(Self { py, positional, context: Some(context).filter(|context| !context.is_none()) })
    }

    #[inline]
    fn get(&self, index: usize) -> Option<Bound<'py, PyAny>> {
        // SAFETY: it is an argument of the call, so it is alive.
        self.positional.get(index).map(|object| unsafe { Bound::from_borrowed_ptr(self.py, *object) })
    }

    /// The callback, at this place, and the arguments for it after that.
    #[inline]
    fn call(&self, at: usize) -> PyResult<Option<Call>> {
        let Some(callback) = self.get(at) else { return Ok(None) };
        let args = self.positional.get(at + 1..).unwrap_or_default();
        // SAFETY: as above.
        Call::new(callback, args.len(), |index| unsafe { Bound::from_borrowed_ptr(self.py, args[index]) }).map(Some)
    }

    /// A number of seconds at this place.
    #[inline]
    fn seconds(&self, at: usize) -> PyResult<Option<f64>> {
        match self.get(at) {
            Some(number) if number.is_exact_instance_of::<PyFloat>() || number.is_exact_instance_of::<PyInt>() => {
                number.extract().map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// # Safety
///
/// `name` is a string.
#[inline]
unsafe fn is_context(py: Python<'_>, name: *mut ffi::PyObject) -> bool {
    let context = pyo3::intern!(py, "context");
    if name == context.as_ptr() {
        return true;
    }
    // SAFETY: it is a string.
    let name = unsafe { Borrowed::from_ptr(py, name).cast_unchecked::<PyString>() };
    name == "context"
}

/// A method of [`LoopCore`] with a short way.
struct Method {
    name: &'static CStr,
    definition: Definition,
    /// What PyO3 made.
    long_way: PyOnceLock<Py<PyAny>>,
}

struct Definition(ffi::PyMethodDef);

// SAFETY: it is not changed, and what it points to is static.
unsafe impl Sync for Definition {}

impl Method {
    const fn new(name: &'static CStr, doc: &'static CStr, function: ffi::PyCFunctionFastWithKeywords) -> Self {
        const FLAGS: c_int = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
        let definition = Definition(ffi::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: function },
            ml_flags: FLAGS,
            ml_doc: doc.as_ptr(),
        });
        Self { name, definition, long_way: PyOnceLock::new() }
    }

    fn install(&'static self, class: &Bound<'_, PyType>) -> PyResult<()> {
        let py = class.py();
        let name = PyString::new(py, &self.name.to_string_lossy());
        let long_way = class.getattr(&name)?.unbind();
        // A class is only registered twice in tests, and then with the same methods.
        if self.long_way.set(py, long_way).is_err() {
            return Ok(());
        }
        // SAFETY: the class is alive; the definition is static, and is only read.
        let method = unsafe {
            let definition = (&raw const self.definition.0).cast_mut();
            Bound::from_owned_ptr_or_err(py, ffi::PyDescr_NewMethod(class.as_type_ptr(), definition))?
        };
        class.setattr(name, method)
    }

    /// What the interpreter calls, with an instance of the class as `event_loop`: the method descriptor sees to that.
    unsafe extern "C" fn call<M: Usual>(
        event_loop: *mut ffi::PyObject,
        args: *const *mut ffi::PyObject,
        count: ffi::Py_ssize_t,
        names: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject {
        // SAFETY: the interpreter calls from attached threads.
        let py = unsafe { Python::assume_attached() };
        // SAFETY: see above.
        let event_loop = unsafe { Borrowed::from_ptr(py, event_loop).cast_unchecked::<LoopCore>() };
        let called = catch_unwind(AssertUnwindSafe(|| {
            if !event_loop.get().is_plain() {
                return Ok(None);
            }
            // SAFETY: these are the arguments of the call.
            match unsafe { Arguments::new(py, args, count, names) } {
                Some(arguments) => M::call(&event_loop, &arguments),
                None => Ok(None),
            }
        }));
        match called {
            Ok(Ok(Some(result))) => result.into_ptr(),
            // SAFETY: these are the arguments of the call.
            Ok(Ok(None)) => unsafe { M::method().call_long_way(py, event_loop.as_any(), args, count, names) },
            Ok(Err(error)) => {
                error.restore(py);
                ptr::null_mut()
            }
            Err(_) => {
                pyo3::exceptions::PySystemError::new_err("a panic in the event loop").restore(py);
                ptr::null_mut()
            }
        }
    }

    /// # Safety
    ///
    /// The arguments are those of a vectorcall that goes on.
    #[cold]
    unsafe fn call_long_way(
        &self,
        py: Python<'_>,
        event_loop: &Bound<'_, PyAny>,
        args: *const *mut ffi::PyObject,
        count: ffi::Py_ssize_t,
        names: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject {
        let Some(long_way) = self.long_way.get(py) else {
            pyo3::exceptions::PySystemError::new_err("the native module is not initialised").restore(py);
            return ptr::null_mut();
        };
        // SAFETY: the names are a tuple, and there are as many values after the positional arguments.
        unsafe {
            let named = if names.is_null() { 0 } else { ffi::PyTuple_GET_SIZE(names) };
            let mut stack = vec![event_loop.as_ptr()];
            for index in 0..count + named {
                stack.push(*args.offset(index));
            }
            ffi::PyObject_Vectorcall(long_way.as_ptr(), stack.as_ptr(), (count + 1).unsigned_abs(), names)
        }
    }
}
