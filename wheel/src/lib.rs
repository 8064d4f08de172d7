//! The native module `ziggurat._ziggurat`: a declaration and nothing else.

#[pyo3::pymodule]
mod _ziggurat {
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        ziggurat::python::register(module)
    }
}
