//! Python apps in a Rust program: the example that mounts one in Axum, and beside it another in bare Hyper. A binary of its own: it
//! starts an interpreter, whose paths come from the environment.

#![allow(clippy::unwrap_used)]

use axum::http::{Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tower::ServiceExt;
use ziggurat::python::App;

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

/// Another app, with a store, a native route and a hook of its own.
const SECOND: &str = r#"
import os
from ziggurat import Model, Ziggurat

class Note(Model):
    id: int

app = Ziggurat(store="sqlite:///:memory:")
app.crud(Note, client_id=True)(type("Notes", (), {}))

@app.get("/name")
async def name():
    return "second"

@app.on_shutdown
def ended():
    with open(os.path.join(os.environ["ZIGGURAT_EMBED_FOLDER"], "ended"), "w") as file:
        file.write("second")
"#;

/// Asks an app through bare Hyper.
async fn hyper_fetch(app: App, path: &str) -> (StatusCode, String) {
    let (ours, theirs) = tokio::io::duplex(4096);
    let service = TowerToHyperService::new(app);
    tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(ours), service));
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(theirs)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(path).header("host", "test").body(Full::<Bytes>::default()).unwrap();
    let response = client.send_request(request).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

/// One test, since a process has one interpreter and one environment.
#[test]
fn a_rust_program_serves_python_apps() {
    let top = env!("CARGO_MANIFEST_DIR");
    let given = std::env::var("PYTHONPATH").unwrap_or_default();
    let folder = std::env::temp_dir().join(format!("ziggurat-embed-{}", std::process::id()));
    let paths = format!("{top}/python:{top}/examples/python:{}:{given}", folder.display());
    // Read once, when the interpreter starts in this very process, so it goes through a child of our own making.
    if std::env::var_os("ZIGGURAT_EMBED_TEST").is_none() {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("second.py"), SECOND).unwrap();
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--nocapture", "--test-threads=1"])
            .env("ZIGGURAT_EMBED_TEST", "1")
            .env("PYTHONPATH", paths)
            .env("ZIGGURAT_EMBED_FOLDER", &folder)
            .status()
            .unwrap();
        let ended = std::fs::read_to_string(folder.join("ended")).unwrap_or_default();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(status.success());
        assert_eq!(ended, "second", "its shutdown hook has run");
        return;
    }

    let missing = App::load("no_such_module:app").unwrap_err().to_string();
    assert!(missing.contains("ModuleNotFoundError") && missing.contains("no_such_module"), "{missing}");
    assert!(App::load("greeter").unwrap_err().to_string().contains("module:attribute"));

    let python = match App::load("greeter:app") {
        Ok(python) => python,
        Err(error) if error.to_string().contains("No module named 'pydantic'") => panic!(
            "the linked interpreter has no pydantic: activate a virtual environment that has, or run `make test-rust`"
        ),
        Err(error) => panic!("{error}"),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let app = example::app(python.clone());
        let answered = app.clone().oneshot(get("/greeter/hello/Ada")).await.unwrap();
        assert!(answered.headers().contains_key("x-request-id"), "the host's layer is around it");
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
    let second = App::load("second:app").unwrap();
    runtime.block_on(async {
        assert_eq!(hyper_fetch(second.clone(), "/name").await, (StatusCode::OK, "second".into()));
        let first = hyper_fetch(python.clone(), "/hello/Ada").await;
        assert_eq!(first, (StatusCode::OK, r#"{"text":"Hello, Ada","times":1}"#.into()));
    });
    python.stop();
    let stopped = runtime.block_on(hyper_fetch(python, "/hello/Ada"));
    assert_eq!(stopped.0, StatusCode::SERVICE_UNAVAILABLE);
    let going_on = runtime.block_on(hyper_fetch(second.clone(), "/name"));
    assert_eq!(going_on.0, StatusCode::OK, "one app outlives the other");
    // The last clone stops it.
    drop(second);
}
