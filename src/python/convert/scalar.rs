//! Checked scalars to Python objects.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDate, PyDateTime, PyDelta, PyDict, PyFloat, PyInt, PyList, PyString, PyTzInfo};
use speedate::{Date, DateTime};

use super::classes::classes;
use crate::python::handler::Scalar;

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
        Scalar::List(items) => {
            let items: Vec<_> = items.iter().map(|item| to_python(py, item, objects)).collect::<PyResult<_>>()?;
            PyList::new(py, items)?.into_any()
        }
    })
}

fn date_time<'py>(py: Python<'py>, moment: &DateTime) -> PyResult<Bound<'py, PyAny>> {
    let DateTime { date, time } = moment;
    let zone = match time.tz_offset {
        None => None,
        Some(0) => Some(PyTzInfo::utc(py)?.to_owned()),
        Some(offset) => Some(PyTzInfo::fixed_offset(py, PyDelta::new(py, 0, offset, 0, true)?)?),
    };
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
