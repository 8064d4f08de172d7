use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tower_layer::Layer;

use super::answer::Manner;
use super::directory::Directory;
use super::disk::Disk;
use super::place::Mount;
use super::root::{Entry, Root};
use super::{Nothing, Static, StaticFiles};
use crate::ConfigError;
use crate::service::{LeafInfo, LeafKind};

/// Applies [`Static`]; see the [module](super) for examples.
#[derive(Debug, Clone)]
#[must_use]
pub struct StaticLayer {
    mount: Mount,
    directory: Arc<Directory>,
}

impl StaticLayer {
    /// Serves the files below `directory` at the addresses below `path`, which is `/` or begins with a slash and ends with none.
    ///
    /// # Errors
    /// When there is no such directory, or `path` is none; the error names it.
    pub fn new(path: &str, directory: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let mount = Mount::new(path)?;
        let leaf = LeafInfo {
            method: None,
            path: mount.template().into(),
            name: "Static".to_owned(),
            kind: LeafKind::Native,
            location: String::new(),
            layers: Vec::new(),
            skips: Vec::new(),
            hooks: Vec::new(),
            accepts: &[],
            websocket: false,
        };
        let directory = Directory {
            root: Root::new(directory.as_ref())?.into(),
            index: Some("index.html".into()),
            fallback: None,
            hidden: false,
            precompressed: false,
            manner: Manner { cache_control: Some(HeaderValue::from_static("no-cache")), vary: None },
            leaf: leaf.into(),
        };
        Ok(Self { mount, directory: directory.into() })
    }

    fn change(mut self, change: impl FnOnce(&mut Directory)) -> Self {
        change(Arc::make_mut(&mut self.directory));
        self
    }

    /// The name of the file that a directory is answered with, `index.html` unless another one is given; none where directories
    /// are not answered.
    ///
    /// # Errors
    /// When it is no name of a file.
    pub fn index(self, name: Option<&str>) -> Result<Self, ConfigError> {
        let name = name.map(PathBuf::from);
        if let Some(name) = &name
            && !(is_relative(name) && name.components().count() == 1)
        {
            return Err(wrong_name("index", name, "is no name of a file").cure("name a file, as index.html"));
        }
        Ok(self.change(|directory| directory.index = name))
    }

    /// A file that pages are answered with which are not there: of an app that has its routes in the browser.
    ///
    /// It is given to clients whose `Accept` names `text/html`, as that of browsers does when they go to a page, and where the
    /// inner service has nothing either: its answer is a 404 or a 405 that no route of this crate gave.
    ///
    /// # Errors
    /// When there is no such file in the directory.
    pub fn fallback(self, file: &str) -> Result<Self, ConfigError> {
        let name = Path::new(file);
        let cure = "name a file by its path within the directory, as index.html";
        if !is_relative(name) {
            return Err(wrong_name("fallback", name, "is no path within the directory").cure(cure));
        }
        match self.directory.root.open(name, Disk::MayWait) {
            Ok(Some(Entry::File(..))) => Ok(self.change(|directory| directory.fallback = Some(file.into()))),
            Ok(_) => Err(wrong_name("fallback", name, "is no file of the directory").cure(cure)),
            Err(error) => Err(wrong_name("fallback", name, &format!("cannot be read: {error}")).cure(cure)),
        }
    }

    /// Lets clients keep files for so long without asking again: `Cache-Control: max-age=…`, and with `immutable` not even
    /// when a page is loaded anew, as is right for names that hold a hash of the content.
    ///
    /// Without it they may keep files, and ask each time whether they have changed (`no-cache`). Caches on the way keep them too, unless
    /// they were asked for with `Authorization`: `public` is not said, as it would have them give to anybody what a layer further out
    /// gives to those that it knows (RFC 9111, 3.5).
    pub fn max_age(self, age: Duration, immutable: bool) -> Self {
        let immutable = if immutable { ", immutable" } else { "" };
        let text = format!("max-age={}{immutable}", age.as_secs());
        self.change(|directory| directory.manner.cache_control = HeaderValue::try_from(text).ok())
    }

    /// Whether a file is sent as `app.js.br`, `app.js.zst` or `app.js.gz` where that stands beside it and the client accepts it.
    pub fn precompressed(self, yes: bool) -> Self {
        self.change(|directory| {
            directory.precompressed = yes;
            directory.manner.vary = yes.then_some(HeaderValue::from_static("accept-encoding"));
        })
    }

    /// Whether files are served whose names, or those of their directories, begin with a dot.
    pub fn hidden(self, yes: bool) -> Self {
        self.change(|directory| directory.hidden = yes)
    }

    /// Whether symbolic links are followed that lead out of the directory.
    pub fn follow_symlinks(self, yes: bool) -> Self {
        self.change(|directory| directory.root = Arc::new(directory.root.following(yes)))
    }

    /// A service of these files alone, which answers 404 to all else, and 405 to other methods.
    pub fn into_service(self) -> StaticFiles {
        self.layer(Nothing)
    }
}

fn is_relative(path: &Path) -> bool {
    let mut components = path.components().peekable();
    components.peek().is_some() && components.all(|component| matches!(component, Component::Normal(_)))
}

fn wrong_name(setting: &str, name: &Path, what: &str) -> ConfigError {
    ConfigError::new(format!("Static: {setting} {:?} {what}", name.display().to_string()))
}

impl<S> Layer<S> for StaticLayer {
    type Service = Static<S>;

    fn layer(&self, inner: S) -> Static<S> {
        Static { inner, mount: self.mount.clone(), directory: self.directory.clone() }
    }
}
