//! What the path of a request said.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::Uri;
use http::uri::PathAndQuery;

use super::percent;

/// The parameters of the matched path, percent-decoded, in the order in which the path names them.
///
/// A request extension, set by the dispatcher when the path has parameters. Values are views of the request's target; only
/// one that was percent-encoded is a copy.
#[derive(Clone, Default)]
pub struct PathParams {
    target: Option<PathAndQuery>,
    names: Arc<[Arc<str>]>,
    values: Values,
}

/// As many as most paths have need no allocation.
#[derive(Debug, Clone)]
enum Values {
    Few([Value; FEW]),
    Many(Vec<Value>),
}

const FEW: usize = 3;

impl Default for Values {
    fn default() -> Self {
        Self::Few(Default::default())
    }
}

#[derive(Debug, Clone)]
enum Value {
    /// Bytes of the path; a target has less than 64 KiB.
    Range(u16, u16),
    Own(Box<str>),
}

impl Default for Value {
    fn default() -> Self {
        Self::Range(0, 0)
    }
}

impl PathParams {
    /// Takes the parameters called `names` from `uri`, whose path holds `raw` from left to right.
    ///
    /// # Errors
    /// With the index of a value that is not percent-encoded UTF-8.
    pub(super) fn decode<'a>(
        uri: &'a Uri,
        names: &Arc<[Arc<str>]>,
        raw: impl Iterator<Item = &'a str>,
    ) -> Result<Self, usize> {
        let path = uri.path();
        let value = |(index, raw): (usize, &str)| match percent::decode(raw) {
            Some(Cow::Borrowed(same)) => Ok(range(path, same).unwrap_or_else(|| Value::Own(same.into()))),
            Some(Cow::Owned(text)) => Ok(Value::Own(text.into())),
            None => Err(index),
        };
        let raw = raw.enumerate();
        let values = if names.len() <= FEW {
            let mut few: [Value; FEW] = Default::default();
            for (slot, pair) in few.iter_mut().zip(raw) {
                *slot = value(pair)?;
            }
            Values::Few(few)
        } else {
            Values::Many(raw.map(value).collect::<Result<_, _>>()?)
        };
        Ok(Self { target: uri.path_and_query().cloned(), names: names.clone(), values })
    }

    /// The value of the parameter called `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.at(self.names.iter().position(|own| **own == *name)?)
    }

    /// The value of the parameter at `index`, counted from the left of the path.
    pub fn at(&self, index: usize) -> Option<&str> {
        let value = match &self.values {
            Values::Few(few) => few.get(index).filter(|_| index < self.names.len())?,
            Values::Many(many) => many.get(index)?,
        };
        match value {
            Value::Range(start, end) => self.target.as_ref()?.path().get(usize::from(*start)..usize::from(*end)),
            Value::Own(text) => Some(text),
        }
    }

    /// Names and values from left to right.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().enumerate().filter_map(|(index, name)| Some((&**name, self.at(index)?)))
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for PathParams {
    /// Parameters with decoded values, for calling a leaf without a dispatcher.
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        let (names, values): (Vec<Arc<str>>, Vec<Value>) =
            pairs.into_iter().map(|(name, value)| (Arc::from(name), Value::Own(value.into()))).unzip();
        Self { target: None, names: names.into(), values: Values::Many(values) }
    }
}

impl PartialEq for PathParams {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for PathParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Where `part`, which is a slice of `path`, lies in it.
fn range(path: &str, part: &str) -> Option<Value> {
    let start = (part.as_ptr() as usize).checked_sub(path.as_ptr() as usize)?;
    let end = start + part.len();
    (path.get(start..end)? == part).then_some(Value::Range(start.try_into().ok()?, end.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Arc<[Arc<str>]> {
        names.iter().map(|name| Arc::from(*name)).collect()
    }

    fn params(uri: &'static str, wanted: &[&str]) -> Result<PathParams, usize> {
        let uri = Uri::from_static(uri);
        let raw: Vec<&str> = uri.path().split('/').skip(1).collect();
        PathParams::decode(&uri, &names(wanted), raw.into_iter())
    }

    #[test]
    fn values_are_found_by_name_and_place() {
        let params = params("/ada/caf%C3%A9%2F1?x=1", &["name", "place"]).unwrap();
        assert_eq!(params.get("name"), Some("ada"));
        assert_eq!(params.at(1), Some("café/1"));
        assert_eq!((params.get("x"), params.at(2)), (None, None));
        assert_eq!(params.iter().collect::<Vec<_>>(), [("name", "ada"), ("place", "café/1")]);
        assert_eq!(params, PathParams::from_iter([("name", "ada"), ("place", "café/1")]));
        assert_eq!(params.clone(), params);
    }

    #[test]
    fn more_than_a_few_are_kept_too() {
        let params = params("/1/2/3/4/5", &["a", "b", "c", "d", "e"]).unwrap();
        assert_eq!(params.iter().map(|(_, value)| value).collect::<String>(), "12345");
    }

    #[test]
    fn bad_encoding_names_its_place() {
        for bad in ["/a/%", "/a/%4", "/a/%zz", "/a/%ff", "/a/%+1"] {
            assert_eq!(params(bad, &["a", "b"]).map(|_| ()), Err(1), "{bad}");
        }
        assert_eq!(params("/%c3%28", &["a"]).map(|_| ()), Err(0));
    }
}
