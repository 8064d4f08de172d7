use std::hash::Hash;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::Either;
use http::{Request, Response};
use tower_service::Service;

use super::layer::Rules;
use super::{By, InMemory, Key, Quotas, ResponseFuture, WithoutKey};

/// Refuses requests of those who ask too often; see the [module](super) for examples.
#[derive(Debug, Clone)]
pub struct RateLimit<S, K = By, Q = InMemory> {
    pub(super) inner: S,
    pub(super) key: K,
    pub(super) quotas: Q,
    pub(super) rules: Rules,
}

impl<S, K, Q> RateLimit<S, K, Q> {
    crate::layers::inner_accessors!();
}

impl<S, K: Key, Q: Quotas> RateLimit<S, K, Q> {
    /// Whose quota a request is taken from; none where it is not to be counted.
    fn key_of<B>(&self, request: Request<B>) -> (Request<B>, Option<Q::Hasher>) {
        let (parts, body) = request.into_parts();
        let mut state = self.quotas.hasher();
        let has_key = self.key.feed(&parts, &mut state);
        let request = Request::from_parts(parts, body);
        let key = match (has_key, self.rules.without_key) {
            (true, _) => Some(state),
            (false, WithoutKey::Share) => {
                // Told apart by what else was fed, as the route.
                "no key".hash(&mut state);
                Some(state)
            }
            (false, WithoutKey::Allow) => None,
        };
        (request, key)
    }
}

impl<S, K, Q, ReqBody, ResBody> Service<Request<ReqBody>> for RateLimit<S, K, Q>
where
    // Cloned only where a verdict has to be waited for.
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    K: Key,
    Q: Quotas,
    ResBody: From<Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, Q::Later, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (request, key) = self.key_of(request);
        let Some(key) = key else { return ResponseFuture::uncounted(self.inner.call(request)) };
        match self.quotas.take(key, &self.rules.quota) {
            Either::Left(verdict) => ResponseFuture::judged(verdict, &mut self.inner, request, self.rules.telling()),
            Either::Right(later) => {
                // The one that was made ready, as is proper, and not the clone.
                let clone = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, clone);
                ResponseFuture::waiting(later, inner, request, self.rules.telling())
            }
        }
    }
}
