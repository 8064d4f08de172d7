//! The page that shows an app at work: its towers, what they do, and what went wrong.
//!
//! Whoever sits at the machine may look, and nobody else; unless guards stand before it, which then decide.

mod data;

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderValue;
use serde::Deserialize;
use tower::service_fn;
use tower_service::Service;

use super::asset::{Asset, file, file_name, html, tag_of};
use super::error_pages::line_of;
use super::failures::{self, Noted};
use super::{Page, door, escape};
use crate::layers::metrics::MetricsHandle;
use crate::python::objects::Shared;
use crate::service::{Problem, Request, Response, Route};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the page is told.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::python) struct LiveSettings {
    title: String,
    /// Where the files are, seen from the page; ends with a slash.
    files: String,
    /// Whether guards stand before it.
    guarded: bool,
    /// Where it is, and the route of the files below it.
    path: String,
    below: String,
}

/// What it shows.
pub(in crate::python) struct Live {
    title: String,
    guarded: bool,
    pub(in crate::python) path: Arc<str>,
    pub(in crate::python) below: Arc<str>,
    begun: SystemTime,
    /// Of the layer that counts requests.
    pub(in crate::python) figures: OnceLock<MetricsHandle>,
    shared: OnceLock<Arc<Shared>>,
    routes: OnceLock<Bytes>,
}

impl Live {
    /// The page and what is below it.
    pub(in crate::python) fn new(settings: LiveSettings) -> (Arc<Self>, Page) {
        let LiveSettings { title, files, guarded, path, below } = settings;
        failures::keep();
        let live = Arc::new(Self {
            title,
            guarded,
            path: path.into(),
            below: below.into(),
            begun: SystemTime::now(),
            figures: OnceLock::new(),
            shared: OnceLock::new(),
            routes: OnceLock::new(),
        });
        let page = live.clone().page(&files);
        (live, page)
    }

    /// Once the app is built: what runs it, and its routes as JSON.
    pub(in crate::python) fn begin(&self, shared: Arc<Shared>, routes: Bytes) {
        // These are set once: an app is built once.
        let _ = self.shared.set(shared);
        let _ = self.routes.set(routes);
    }

    fn page(self: Arc<Self>, files: &str) -> Page {
        let assets: Arc<[Asset]> = Arc::new([
            Asset::plain("live", "css", include_str!("live.css")),
            Asset::plain("tower", "js", include_str!("tower.js")),
            Asset::plain("live", "js", include_str!("live.js")),
        ]);
        let mut text =
            include_str!("live.html").replace("{title}", &escape(&self.title)).replace("{files}", &escape(files));
        for (place, asset) in ["{css}", "{tower_js}", "{js}"].into_iter().zip(assets.iter()) {
            text = text.replace(place, &escape(&format!("{files}{}", asset.name)));
        }
        let text = Bytes::from(text);
        let tag = tag_of(&text);
        let policy = HeaderValue::from_static(POLICY);
        let own = self.clone();
        let page = service_fn(move |request: Request| {
            let answer = match own.lets_in(&request) {
                true => html(&text, &policy, &tag, request.headers()),
                false => nothing(),
            };
            std::future::ready(Ok::<_, Infallible>(answer))
        });
        let below = service_fn(move |request: Request| {
            let (own, assets, request) = (self.clone(), assets.clone(), request.map(drop));
            async move { Ok::<_, Infallible>(own.answer(&assets, &request).await) }
        });
        Page { page: Route::new(page), files: Route::new(below) }
    }

    /// Whether a route is the page or the files below it.
    pub(in crate::python) fn is_own(&self, route: &str) -> bool {
        *self.path == *route || *self.below == *route
    }

    fn lets_in<B>(&self, request: &Request<B>) -> bool {
        self.guarded || door::is_local(request)
    }

    async fn answer(&self, assets: &[Asset], request: &Request<()>) -> Response {
        if !self.lets_in(request) || !door::is_same_origin(request.headers()) {
            return nothing();
        }
        match file_name(request) {
            Some("data") => data::json(self.data().await.to_string()),
            Some("errors") => data::json(failures::all().to_string()),
            Some("routes") => data::json(self.routes.get().cloned().unwrap_or_default()),
            _ => file(assets, request).await,
        }
    }
}

/// As if it were not there.
fn nothing() -> Response {
    Problem::not_found("no route has this path").into_response()
}

/// A route whose failures learn which request they belong to.
#[derive(Clone)]
pub(in crate::python) struct Seen(pub(in crate::python) Route);

impl Service<Request> for Seen {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A route always is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let line = line_of(&request);
        let answer = self.0.answer(request);
        Box::pin(async move {
            let Ok(response) = answer.await;
            if let Some(noted) = response.extensions().get::<Arc<Noted>>() {
                noted.failure.belongs_to(&line);
            }
            Ok(response)
        })
    }
}
