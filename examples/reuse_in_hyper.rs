//! Ziggurat's layers around a plain function in a bare hyper server.
//!
//! ```text
//! cargo run --example reuse_in_hyper
//! curl -i localhost:3000/                         # 401 without a token
//! ```

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tower::{Service, ServiceBuilder, service_fn};
use ziggurat::BoxError;
use ziggurat::layers::compression::CompressionBody;
use ziggurat::layers::trace::{self, Format, LevelFilter, TraceBody};
use ziggurat::layers::{Claims, CompressionLayer, JwtLayer, TraceLayer};

/// The body that the layers make of the function's.
pub type AppBody = TraceBody<CompressionBody<Full<Bytes>>>;

/// One answer, for those who bring a token signed with `secret`; `B` is whatever body the server reads requests with.
pub fn app<B: Send + 'static>(
    secret: &str,
) -> Result<
    impl Service<Request<B>, Response = Response<AppBody>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    BoxError,
> {
    Ok(ServiceBuilder::new()
        .layer(TraceLayer::new())
        .layer(CompressionLayer::new())
        .layer(JwtLayer::secret(secret)?)
        .service(service_fn(greet::<B>)))
}

async fn greet<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    let name = request.extensions().get::<Claims>().and_then(Claims::subject).unwrap_or("nobody");
    let mut response = Response::new(Full::from(format!("good day, {name}\n").repeat(100)));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("text/plain"));
    Ok(response)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    trace::init(Format::Text, LevelFilter::INFO)?;
    let secret = std::env::var("JWT_SECRET").unwrap_or_else(|_| "only for this example, never for yours".to_owned());
    let service = TowerToHyperService::new(app(&secret)?);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = service.clone();
        tokio::spawn(async move {
            let connection = auto::Builder::new(TokioExecutor::new());
            if let Err(error) = connection.serve_connection(TokioIo::new(stream), service).await {
                eprintln!("connection failed: {error}");
            }
        });
    }
}
