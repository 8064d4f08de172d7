//! Reading a request body whole.

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;

use super::Problem;
use crate::Body;

/// The bytes of a body that has at most `limit` of them.
///
/// # Errors
/// The answer to give: 413 past this limit or one of a layer outside, 408 when the client is too slow, 400 when the body is
/// torn.
pub(crate) async fn read_body(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    if usize::try_from(body.size_hint().lower()).map_or(true, |least| least > limit) {
        return Err(Problem::too_large(limit));
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| Problem::unreadable(error.as_ref()))?.into_data() else {
            continue;
        };
        if first.len() + all.len() + data.len() > limit {
            return Err(Problem::too_large(limit));
        }
        // Most bodies come in one piece, which needs no copy.
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

#[cfg(test)]
mod tests {
    use http_body_util::Limited;

    use super::*;
    use crate::BoxError;

    #[tokio::test]
    async fn pieces_are_joined_up_to_the_limit() {
        let pieces = |texts: &'static [&'static str]| {
            Body::from_stream(futures_util::stream::iter(
                texts.iter().map(|text| Ok::<_, BoxError>(Bytes::from_static(text.as_bytes()))),
            ))
        };
        assert_eq!(read_body(pieces(&["ab", "cd", "e"]), 5).await.unwrap(), "abcde");
        assert_eq!(read_body(pieces(&["ab", "cd", "ef"]), 5).await.unwrap_err().status(), 413);
        assert_eq!(read_body(Body::from("abcdef"), 5).await.unwrap_err().status(), 413);
        assert_eq!(read_body(Body::from("abcdef"), usize::MAX).await.unwrap(), "abcdef");
        assert_eq!(read_body(Body::empty(), 5).await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_limit_outside_is_told_from_a_torn_body() {
        let limited = Body::new(Limited::new(Body::from("abcdef"), 3));
        assert_eq!(read_body(limited, 100).await.unwrap_err().status(), 413);
        let torn = Body::from_stream(futures_util::stream::iter([Ok(Bytes::from_static(b"a")), Err("reset")]));
        assert_eq!(read_body(torn, 100).await.unwrap_err().status(), 400);
    }
}
