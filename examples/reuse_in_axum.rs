//! Ziggurat's layers in an Axum program that uses nothing else of it.
//!
//! ```text
//! cargo run --example reuse_in_axum
//! curl -i --compressed localhost:3000/            # logged, compressed
//! curl -i localhost:3000/me                       # 401 without a token
//! ```

use axum::extract::MatchedPath;
use axum::routing::get;
use axum::{Extension, Router};
use ziggurat::BoxError;
use ziggurat::layers::trace::{self, Format, LevelFilter};
use ziggurat::layers::{Claims, CompressionLayer, JwtLayer, RequireAuth, TraceLayer};

/// A page for everyone, and one for those who bring a token signed with `secret`.
pub fn app(secret: &str) -> Result<Router, BoxError> {
    let trace = TraceLayer::new().matched_path(|request: &http::Extensions| {
        // Axum keeps what it matched among the extensions of the request.
        request.get::<MatchedPath>().map(|path| path.as_str().to_owned())
    });
    Ok(Router::new()
        .route("/me", get(me))
        // Only the routes above are guarded; tokens are verified for all of them below.
        .route_layer(RequireAuth::new())
        .route("/", get(|| async { "the tower has many steps\n".repeat(100) }))
        // Axum's last layer is the outermost.
        .layer(JwtLayer::secret(secret)?.required(false))
        .layer(CompressionLayer::new())
        .layer(trace))
}

async fn me(Extension(claims): Extension<Claims>) -> String {
    format!("you are {}", claims.subject().unwrap_or("nobody"))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    trace::init(Format::Text, LevelFilter::INFO)?;
    let secret = std::env::var("JWT_SECRET").unwrap_or_else(|_| "only for this example, never for yours".to_owned());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app(&secret)?).await?;
    Ok(())
}
