//! The page that shows an app's OpenAPI document and sends requests from there: Swagger UI.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use serde::Deserialize;
use tower::service_fn;

use super::asset::{Asset, file, html, tag_of};
use super::{Page, escape};
use crate::ConfigError;
use crate::service::{Request, Route};

/// Of version [`version`]; `vendor` fetches another.
static SCRIPT: &[u8] = include_bytes!("swagger-ui/swagger-ui-bundle.js.gz");
static STYLE: &[u8] = include_bytes!("swagger-ui/swagger-ui.css.gz");

/// What the page is told.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::python) struct DocsSettings {
    title: String,
    /// Where the document is, seen from the page.
    document: String,
    /// Where the files are, seen from the page; ends with a slash.
    files: String,
    /// Other servers that requests are sent to from there.
    servers: Vec<String>,
}

/// The page and its files.
pub(in crate::python) fn docs(settings: &DocsSettings) -> Result<Page, ConfigError> {
    let assets: Arc<[Asset]> = Arc::new([
        Asset::compressed("swagger-ui", version(), "css", STYLE),
        Asset::plain("docs", "css", include_str!("docs/docs.css")),
        Asset::compressed("swagger-ui", version(), "js", SCRIPT),
        Asset::plain("docs", "js", include_str!("docs/docs.js")),
    ]);
    let mut text = include_str!("docs/docs.html")
        .replace("{title}", &escape(&settings.title))
        .replace("{document}", &escape(&settings.document));
    for (place, asset) in ["{vendor_css}", "{css}", "{vendor_js}", "{js}"].into_iter().zip(assets.iter()) {
        text = text.replace(place, &escape(&format!("{}{}", settings.files, asset.name)));
    }
    let policy = policy(&settings.servers)?;
    let text = Bytes::from(text);
    let tag = tag_of(&text);
    let page = service_fn(move |request: Request| {
        std::future::ready(Ok::<_, Infallible>(html(&text, &policy, &tag, request.headers())))
    });
    let files = service_fn(move |request: Request| {
        let (assets, request) = (assets.clone(), request.map(drop));
        async move { Ok::<_, Infallible>(file(&assets, &request).await) }
    });
    Ok(Page { page: Route::new(page), files: Route::new(files) })
}

/// Nothing but what this server has, and requests to the servers of the document.
fn policy(servers: &[String]) -> Result<HeaderValue, ConfigError> {
    let mut text = String::from(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'; connect-src 'self'",
    );
    for server in servers {
        text.push(' ');
        text.push_str(server);
    }
    HeaderValue::from_str(&text)
        .map_err(|_| ConfigError::new("servers holds an address that no policy can name").cure("write it in ASCII"))
}

/// That of Swagger UI.
fn version() -> &'static str {
    let line = include_str!("swagger-ui/VERSION");
    line.split_whitespace().nth(1).unwrap_or("0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        assert!(version().split('.').filter(|part| part.parse::<u32>().is_ok()).count() == 3, "{}", version());
    }

    #[test]
    fn a_policy_names_the_servers() {
        let policy = policy(&["https://api.example".into()]).unwrap();
        assert!(policy.to_str().unwrap().ends_with("connect-src 'self' https://api.example"));
        assert!(super::policy(&["https://api.example\n".into()]).is_err());
    }
}
