use http::header::{ACCEPT_ENCODING, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};
use http::{HeaderMap, HeaderName, Method};

/// All that an answer depends on beside the file.
const LOOKED_AT: [HeaderName; 7] =
    [ACCEPT_ENCODING, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE];

/// What the request says about its answer.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) head: bool,
    pub(super) headers: HeaderMap,
}

impl Asked {
    /// None of methods that no file answers.
    pub(super) fn of(method: &Method, headers: &HeaderMap) -> Option<Self> {
        let head = method == Method::HEAD;
        if !head && method != Method::GET {
            return None;
        }
        let mut kept = HeaderMap::new();
        for name in LOOKED_AT {
            for value in headers.get_all(&name) {
                kept.append(&name, value.clone());
            }
        }
        Some(Self { head, headers: kept })
    }
}
