//! Checked scalars to Python objects.

use std::net::IpAddr;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyBytes, PyDate, PyDateTime, PyDelta, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTime,
    PyTuple, PyType, PyTzInfo,
};
use speedate::{Date, DateTime, Time};

use super::classes::classes;
use crate::python::form::UploadFile;
use crate::python::handler::{Collection, Scalar};

/// Makes the Python object of `scalar`; `objects` are those of the plan.
pub(in crate::python) fn to_python<'py>(
    py: Python<'py>,
    scalar: &Scalar,
    objects: &[Py<PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    Ok(match scalar {
        Scalar::Object(index) => objects[*index].bind(py).clone(),
        Scalar::Int(int) => int.into_pyobject(py)?.into_any(),
        Scalar::BigInt(digits) => py.get_type::<PyInt>().call1((&**digits,))?,
        Scalar::Float(float) => PyFloat::new(py, *float).into_any(),
        Scalar::Bool(truth) => PyBool::new(py, *truth).to_owned().into_any(),
        Scalar::Str(text) => PyString::new(py, text).into_any(),
        Scalar::Uuid(uuid) => {
            let kwargs = PyDict::new(py);
            kwargs.set_item(intern!(py, "int"), uuid.as_u128())?;
            classes(py)?.uuid.bind(py).call((), Some(&kwargs))?
        }
        Scalar::DateTime(moment) => date_time(py, moment)?,
        Scalar::Date(Date { year, month, day }) => PyDate::new(py, i32::from(*year), *month, *day)?.into_any(),
        Scalar::Time(moment) => time(py, moment)?,
        Scalar::Delta(delta) => {
            let sign = if delta.positive { 1 } else { -1 };
            // All of it fits: the parser takes less than 999,999,999 days.
            let days = i32::try_from(delta.day).unwrap_or(i32::MAX) * sign;
            let seconds = i32::try_from(delta.second).unwrap_or(i32::MAX) * sign;
            let micros = i32::try_from(delta.microsecond).unwrap_or(i32::MAX) * sign;
            PyDelta::new(py, days, seconds, micros, true)?.into_any()
        }
        Scalar::Decimal(text) => classes(py)?.decimal.bind(py).call1((&**text,))?,
        Scalar::Ip(IpAddr::V4(ip)) => {
            static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
            CLASS.import(py, "ipaddress", "IPv4Address")?.call1((u32::from(*ip),))?
        }
        Scalar::Ip(IpAddr::V6(ip)) => {
            static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
            CLASS.import(py, "ipaddress", "IPv6Address")?.call1((u128::from(*ip),))?
        }
        Scalar::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
        Scalar::Upload(upload) => Bound::new(py, UploadFile::new(upload.clone()))?.into_any(),
        Scalar::Made(index) => objects[*index].bind(py).call0()?,
        // Whoever has fields that may be absent looks for them before.
        Scalar::Absent => py.None().into_bound(py),
        Scalar::Many(collection, items) => {
            let items: Vec<_> = items.iter().map(|item| to_python(py, item, objects)).collect::<PyResult<_>>()?;
            match collection {
                Collection::List => PyList::new(py, items)?.into_any(),
                Collection::Tuple => PyTuple::new(py, items)?.into_any(),
                Collection::Set => PySet::new(py, items)?.into_any(),
                Collection::FrozenSet => PyFrozenSet::new(py, items)?.into_any(),
            }
        }
    })
}

fn zone<'py>(py: Python<'py>, offset: Option<i32>) -> PyResult<Option<Bound<'py, PyTzInfo>>> {
    Ok(match offset {
        None => None,
        Some(0) => Some(PyTzInfo::utc(py)?.to_owned()),
        Some(offset) => Some(PyTzInfo::fixed_offset(py, PyDelta::new(py, 0, offset, 0, true)?)?),
    })
}

fn time<'py>(py: Python<'py>, time: &Time) -> PyResult<Bound<'py, PyAny>> {
    let zone = zone(py, time.tz_offset)?;
    Ok(PyTime::new(py, time.hour, time.minute, time.second, time.microsecond, zone.as_ref())?.into_any())
}

fn date_time<'py>(py: Python<'py>, moment: &DateTime) -> PyResult<Bound<'py, PyAny>> {
    let DateTime { date, time } = moment;
    let zone = zone(py, time.tz_offset)?;
    let value = PyDateTime::new(
        py,
        i32::from(date.year),
        date.month,
        date.day,
        time.hour,
        time.minute,
        time.second,
        time.microsecond,
        zone.as_ref(),
    )?;
    Ok(value.into_any())
}
