use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response};
use tokio::task::spawn_blocking;

use super::answer::{Manner, Source};
use super::asked::Asked;
use super::directory::compressed;
use super::root::{Entry, open, served};
use super::{FileBody, kind};

/// Answers requests with one file: ranges, conditions and all, as a directory would.
///
/// The path is that of the program and not of a request: symbolic links are followed.
///
/// ```
/// use http::{HeaderMap, Method};
/// use ziggurat::{Body, layers::static_files::ServeFile};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// let file = ServeFile::new("Cargo.toml");
/// let mut headers = HeaderMap::new();
/// headers.insert("range", "bytes=0-8".parse().unwrap());
/// let response = file.answer::<Body>(&Method::GET, &headers).await?;
/// assert_eq!((response.status().as_u16(), &response.headers()["content-length"]), (206, &"9".parse().unwrap()));
/// assert!(ServeFile::new("missing").answer::<Body>(&Method::GET, &headers).await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct ServeFile {
    path: Arc<Path>,
    content_type: HeaderValue,
    precompressed: bool,
    manner: Manner,
}

impl ServeFile {
    /// The file at `path`, with the type that its name tells, and without `Cache-Control`. It is looked for when it is asked for.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path: Arc<Path> = path.into().into();
        let content_type = kind::of(&path);
        Self { path, content_type, precompressed: false, manner: Manner { cache_control: None, vary: None } }
    }

    /// The `Content-Type`.
    pub fn content_type(mut self, content_type: HeaderValue) -> Self {
        self.content_type = content_type;
        self
    }

    /// The `Cache-Control`.
    pub fn cache_control(mut self, cache_control: HeaderValue) -> Self {
        self.manner.cache_control = Some(cache_control);
        self
    }

    /// Whether what stands beside it compressed is sent to clients that accept it.
    pub fn precompressed(mut self, yes: bool) -> Self {
        self.precompressed = yes;
        self.manner.vary = yes.then_some(HeaderValue::from_static("accept-encoding"));
        self
    }

    /// The answer to a request with this method and these headers. Where the method is neither GET nor HEAD it is the whole file,
    /// whatever the headers say.
    ///
    /// # Errors
    /// When there is no file at the path, or it cannot be read.
    pub fn answer<B: From<Bytes>>(
        &self,
        method: &Method,
        headers: &HeaderMap,
    ) -> impl Future<Output = io::Result<Response<FileBody<B>>>> + Send + use<B> {
        let file = self.clone();
        let asked = Asked::of(method, headers).unwrap_or_else(|| Asked { head: false, headers: HeaderMap::new() });
        let work = spawn_blocking(move || {
            let Entry::File(opened, metadata) = open(&file.path)? else {
                return Err(io::ErrorKind::IsADirectory.into());
            };
            let source = Source { file: opened, metadata, coding: None, content_type: file.content_type };
            let path = file.precompressed.then_some(&*file.path);
            compressed(source, path, &asked, |path| served(open(path)))?.answer(&file.manner, &asked)
        });
        async { Ok(work.await.map_err(io::Error::other)??.map(FileBody::of)) }
    }
}
