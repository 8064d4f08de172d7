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
use ziggurat::layers::RequestIdLayer;
use ziggurat::python::App;

/// Axum answers `/native`, the Python app everything below `/greeter`; a layer of the host is around both.
pub(crate) fn app(greeter: App) -> Router {
    Router::new()
        .route("/native", get(async || "from Axum\n"))
        .nest_service("/greeter", greeter)
        .layer(RequestIdLayer::new())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Before the runtime starts: it blocks until the app is ready.
    let greeter = App::load("greeter:app")?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
        let stop = async { drop(tokio::signal::ctrl_c().await) };
        axum::serve(listener, app(greeter.clone())).with_graceful_shutdown(stop).await
    })?;
    // Runs the app's shutdown hooks.
    greeter.stop();
    Ok(())
}
