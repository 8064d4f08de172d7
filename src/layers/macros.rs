//! What services of layers have in common. Each feature alone uses some of it.

/// Accessors to the service that a layer wraps, the same for every layer.
#[allow(unused_macros)]
macro_rules! inner_accessors {
    () => {
        /// The wrapped service.
        pub fn get_ref(&self) -> &S {
            &self.inner
        }

        /// The wrapped service, to change it.
        pub fn get_mut(&mut self) -> &mut S {
            &mut self.inner
        }

        /// Takes the wrapped service out.
        pub fn into_inner(self) -> S {
            self.inner
        }
    };
}
#[allow(unused_imports)]
pub(super) use inner_accessors;

/// `Service` for what lets a request pass to the inner service, which its method `answer` may change before, or answers it at once:
///
/// `fn answer<ReqBody, ResBody: From<Bytes>>(&self, request: &mut Request<ReqBody>) -> Option<Response<ResBody>>`
#[allow(unused_macros)]
macro_rules! gate {
    ($service:ident) => {
        impl<S, ReqBody, ResBody> tower_service::Service<http::Request<ReqBody>> for $service<S>
        where
            S: tower_service::Service<http::Request<ReqBody>, Response = http::Response<ResBody>>,
            ResBody: From<bytes::Bytes>,
        {
            type Response = S::Response;
            type Error = S::Error;
            type Future = futures_util::future::Either<S::Future, std::future::Ready<Result<S::Response, S::Error>>>;

            fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
                self.inner.poll_ready(cx)
            }

            fn call(&mut self, mut request: http::Request<ReqBody>) -> Self::Future {
                match self.answer(&mut request) {
                    None => futures_util::future::Either::Left(self.inner.call(request)),
                    Some(answer) => futures_util::future::Either::Right(std::future::ready(Ok(answer))),
                }
            }
        }
    };
}
#[allow(unused_imports)]
pub(super) use gate;
