//! The example that mounts a Python app in Axum. A binary of its own: it starts an interpreter, whose paths come from the
//! environment.

#![allow(clippy::unwrap_used)]

use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;
use ziggurat::python::PythonApp;

#[path = "../examples/embed_python_app.rs"]
#[allow(dead_code)]
mod example;

async fn fetch(app: &axum::Router, request: Request<axum::body::Body>) -> (StatusCode, String) {
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

fn get(path: &str) -> Request<axum::body::Body> {
    Request::get(path).body(axum::body::Body::empty()).unwrap()
}

/// One test, since a process has one interpreter and one environment.
#[test]
fn axum_serves_a_python_app() {
    let top = env!("CARGO_MANIFEST_DIR");
    let given = std::env::var("PYTHONPATH").unwrap_or_default();
    let paths = format!("{top}/python:{top}/examples/python:{given}");
    // Read once, when the interpreter starts in this very process, so it goes through a child of our own making.
    if std::env::var_os("ZIGGURAT_EMBED_TEST").is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--nocapture", "--test-threads=1"])
            .env("ZIGGURAT_EMBED_TEST", "1")
            .env("PYTHONPATH", paths)
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }

    let missing = PythonApp::load("no_such_module:app").unwrap_err().to_string();
    assert!(missing.contains("ModuleNotFoundError") && missing.contains("no_such_module"), "{missing}");
    assert!(PythonApp::load("greeter").unwrap_err().to_string().contains("module:attribute"));

    let python = match PythonApp::load("greeter:app") {
        Ok(python) => python,
        Err(error) if error.to_string().contains("No module named 'pydantic'") => panic!(
            "the linked interpreter has no pydantic: activate a virtual environment that has, or run `make test-rust`"
        ),
        Err(error) => panic!("{error}"),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let app = example::app(python.stack());
        assert_eq!(fetch(&app, get("/native")).await, (StatusCode::OK, "from Axum\n".into()));
        assert_eq!(
            fetch(&app, get("/greeter/hello/Ada?excited=true")).await,
            (StatusCode::OK, r#"{"text":"Hello, Ada!","times":1}"#.into())
        );
        let shout = Request::post("/greeter/shout")
            .header("content-type", "application/json")
            .body(axum::body::Body::from(r#"{"text":"ho","times":2}"#))
            .unwrap();
        assert_eq!(fetch(&app, shout).await, (StatusCode::OK, r#"["HO","HO"]"#.into()));
        assert_eq!(fetch(&app, get("/greeter/nowhere")).await.0, StatusCode::NOT_FOUND);
        assert_eq!(fetch(&app, get("/greeter/hello/Ada?excited=maybe")).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    });
    let stack = python.stack();
    drop(python);
    let request = ziggurat::Request::get("/hello/Ada").body(ziggurat::Body::empty()).unwrap();
    let stopped = runtime.block_on(stack.oneshot(request)).unwrap();
    assert_eq!(stopped.status(), StatusCode::SERVICE_UNAVAILABLE);
}
