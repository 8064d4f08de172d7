//! The native module `ziggurat._ziggurat`: a declaration and nothing else.

/// Requests are made on one thread and dropped on another, which the allocator of the system does at a higher price.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pyo3::pymodule]
mod _ziggurat {
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        ziggurat::python::register(module)
    }
}
