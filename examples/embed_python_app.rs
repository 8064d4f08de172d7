//! A Python app as a Tower service inside an Axum program.
//!
//! The package `ziggurat` and what the app imports must be installed for the interpreter that this program is linked with; an active
//! virtual environment is used.
//!
//! ```sh
//! PYTHONPATH=python:examples/python cargo run --example embed_python_app --features python
//! curl localhost:8000/native
//! curl 'localhost:8000/greeter/hello/Ada?excited=true'
//! ```

use axum::Router;
use axum::routing::get;
use tower::ServiceBuilder;
use ziggurat::Body;
use ziggurat::python::PythonApp;
use ziggurat::service::Stack;

/// Axum answers `/native`, the Python app everything below `/greeter`.
pub(crate) fn app(python: Stack) -> Router {
    // The two body types are the only difference between an Axum service and a stack.
    let greeter =
        ServiceBuilder::new().map_request(|request: axum::extract::Request| request.map(Body::new)).service(python);
    Router::new().route("/native", get(async || "from Axum\n")).nest_service("/greeter", greeter)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Before the runtime starts: it blocks until the app is ready.
    let python = PythonApp::load("greeter:app")?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
        let stop = async { drop(tokio::signal::ctrl_c().await) };
        axum::serve(listener, app(python.stack())).with_graceful_shutdown(stop).await
    })?;
    // Runs the app's shutdown hooks.
    drop(python);
    Ok(())
}
