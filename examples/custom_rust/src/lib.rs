//! Rust of this app: a layer and a handler.

mod geo_block;

use std::convert::Infallible;

use ziggurat::service::{PathParams, Request, Response};
use ziggurat::{Body, Problem};

use geo_block::Settings;

/// `GET /double/{number}`, without Python.
async fn double(request: Request) -> Result<Response, Infallible> {
    let number = request.extensions().get::<PathParams>().and_then(|params| params.get("number"));
    Ok(match number.and_then(|number| number.parse::<i64>().ok()).and_then(|number| number.checked_mul(2)) {
        Some(doubled) => Response::new(Body::from(doubled.to_string())),
        None => Problem::bad_request("the number must be an integer of up to 63 bits").into_response(),
    })
}

#[pyo3::pymodule]
mod _native {
    use pyo3::prelude::*;
    use ziggurat::python::Extension;

    use super::{Settings, double};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        Extension::new(module)?.layer("GeoBlock", Settings::build)?.service("double", tower::service_fn(double))?;
        Ok(())
    }
}
