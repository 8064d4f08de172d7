use std::future::Future;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response};
use tokio::task::spawn_blocking;

use super::answer::{Manner, Source};
use super::asked::Asked;
use super::directory::compressed;
use super::disk::Disk;
use super::root::{Entry, Root, open, served};
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
    /// What the path is below of; none where it is the program's own.
    root: Option<Arc<Path>>,
    content_type: HeaderValue,
    precompressed: bool,
    manner: Manner,
}

impl ServeFile {
    /// The file at `path`, with the type that its name tells, and without `Cache-Control`. It is looked for when it is asked for.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path: Arc<Path> = path.into().into();
        let content_type = kind::of(&path);
        Self {
            path,
            root: None,
            content_type,
            precompressed: false,
            manner: Manner { cache_control: None, vary: None },
        }
    }

    /// The file at `within`, a relative path that may be somebody else's: it is not there where it leads out of the directory `root`, by `..` or
    /// by a symbolic link.
    ///
    /// ```
    /// # use http::{HeaderMap, Method};
    /// # use ziggurat::{Body, layers::static_files::ServeFile};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let get = |within: &'static str| async move { ServeFile::below("src", within).answer::<Body>(&Method::GET, &HeaderMap::new()).await };
    /// assert!(get("lib.rs").await.is_ok());
    /// for out in ["../Cargo.toml", "/etc/hostname", "service/../../Cargo.toml", ""] {
    ///     assert_eq!(get(out).await.unwrap_err().kind(), std::io::ErrorKind::NotFound, "{out}");
    /// }
    /// # }
    /// ```
    pub fn below(root: impl Into<PathBuf>, within: impl Into<PathBuf>) -> Self {
        let root: Arc<Path> = root.into().into();
        Self { root: Some(root), ..Self::new(within) }
    }

    /// Takes the type that `name` tells, and not that of the path.
    pub fn named(mut self, name: &Path) -> Self {
        self.content_type = kind::of(name);
        self
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
        let work = move |disk| {
            let entry = match &file.root {
                Some(root) => below(root, &file.path, disk)?,
                None => open(&file.path, disk)?,
            };
            let Entry::File(opened, metadata) = entry else {
                return Err(io::ErrorKind::IsADirectory.into());
            };
            let source = Source { file: opened, metadata, coding: None, content_type: file.content_type.clone() };
            let path = file.precompressed.then_some(&*file.path);
            compressed(source, path, &asked, |path| served(open(path, disk)))?.answer(&file.manner, &asked, disk)
        };
        let found = match work(Disk::InMemory) {
            Ok(response) => Ok(response),
            // Who may wait knows better what is wrong.
            Err(_) => Err(spawn_blocking(move || work(Disk::MayWait))),
        };
        async {
            let response = match found {
                Ok(response) => response,
                Err(work) => work.await.map_err(io::Error::other)??,
            };
            Ok(response.map(FileBody::of))
        }
    }
}

/// Opens what is at `within`, unless that leads out of `root`.
fn below(root: &Path, within: &Path, disk: Disk) -> io::Result<Entry> {
    let is_plain = within.components().all(|step| matches!(step, Component::Normal(_)));
    if !is_plain || within.as_os_str().is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let root = match disk {
        Disk::MayWait => Root::new(root).map_err(io::Error::other)?,
        Disk::InMemory => Root::unchecked(root),
    };
    root.open(within, disk)?.ok_or_else(|| io::ErrorKind::NotFound.into())
}
