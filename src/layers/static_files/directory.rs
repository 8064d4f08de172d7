//! Finds what a request means.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderValue, Response, StatusCode, Uri};

use super::answer::{Content, Manner, Source};
use super::asked::Asked;
use super::disk::Disk;
use super::kind;
use super::place::Place;
use super::root::{Entry, Root};
use super::sibling::Sibling;
use crate::service::LeafInfo;

/// The files, and how they are served.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    pub(super) root: Arc<Root>,
    pub(super) index: Option<PathBuf>,
    pub(super) fallback: Option<PathBuf>,
    pub(super) hidden: bool,
    pub(super) precompressed: bool,
    pub(super) manner: Manner,
    /// What layers outside are told of who has answered.
    pub(super) leaf: Arc<LeafInfo>,
}

impl Directory {
    /// The answer with what is at `place`; none where there is nothing.
    pub(super) fn answer(
        &self,
        place: &Place,
        uri: &Uri,
        asked: &Asked,
        disk: Disk,
    ) -> io::Result<Option<Response<Content>>> {
        self.find(place, uri, asked, disk).map(|answer| answer.map(|answer| self.signed(answer)))
    }

    fn signed(&self, mut answer: Response<Content>) -> Response<Content> {
        answer.extensions_mut().insert(self.leaf.clone());
        answer
    }

    fn find(&self, place: &Place, uri: &Uri, asked: &Asked, disk: Disk) -> io::Result<Option<Response<Content>>> {
        match self.root.open(&place.within, disk)? {
            Some(entry @ Entry::File(..)) if !place.slash => self.send(&place.within, entry, asked, disk),
            Some(Entry::Directory) => {
                let Some(index) = &self.index else { return Ok(None) };
                let within = place.within.join(index);
                match self.root.open(&within, disk)? {
                    Some(entry @ Entry::File(..)) if place.slash => self.send(&within, entry, asked, disk),
                    // Links of the page are relative to its address, so that has to end with a slash.
                    Some(Entry::File(..)) => Ok(slashed(uri)),
                    _ => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    /// The answer with the page that stands for all others.
    pub(super) fn fall_back(&self, asked: &Asked, disk: Disk) -> io::Result<Option<Response<Content>>> {
        let Some(within) = &self.fallback else { return Ok(None) };
        let Some(entry) = self.root.open(within, disk)? else { return Ok(None) };
        let mut answer = self.send(within, entry, asked, disk)?.map(|answer| self.signed(answer));
        if let Some(answer) = &mut answer {
            // What is at this address may be something else soon.
            answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            answer.headers_mut().append(http::header::VARY, HeaderValue::from_static("accept"));
        }
        Ok(answer)
    }

    /// The file at `within`, or what holds it compressed for this client.
    fn send(&self, within: &Path, entry: Entry, asked: &Asked, disk: Disk) -> io::Result<Option<Response<Content>>> {
        let Entry::File(file, metadata) = entry else { return Ok(None) };
        let content_type = kind::of(within);
        let source = Source { file, metadata, coding: None, content_type };
        let open = |path: &Path| self.root.open(path, disk);
        compressed(source, self.precompressed.then_some(within), asked, open)?
            .answer(&self.manner, asked, disk)
            .map(Some)
    }
}

/// The best of what holds the same compressed, where `path` is given to look for that, or `source` itself.
pub(super) fn compressed(
    mut source: Source,
    path: Option<&Path>,
    asked: &Asked,
    open: impl Fn(&Path) -> io::Result<Option<Entry>>,
) -> io::Result<Source> {
    let Some(path) = path else { return Ok(source) };
    for sibling in Sibling::wanted(&asked.headers) {
        if let Some(Entry::File(file, metadata)) = open(&sibling.path(path))? {
            source = Source { file, metadata, coding: Some(sibling.coding), ..source };
            break;
        }
    }
    Ok(source)
}

fn slashed(uri: &Uri) -> Option<Response<Content>> {
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    // A path that begins with one slash, as those of places do, so it leads to no other host.
    let location = HeaderValue::try_from(format!("{}/{query}", uri.path())).ok()?;
    let mut response = Response::new(bytes::Bytes::new().into());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, location);
    Some(response)
}
