use std::sync::Arc;

use bytes::Bytes;
use http::{Extensions, Request, Response};

use super::{Challenges, Claims, Refusal};
use crate::service::{ErrorFormat, Requirement};

/// A service behind [`RequireAuth`](super::RequireAuth).
#[derive(Debug, Clone)]
pub struct Guarded<S> {
    pub(super) inner: S,
    pub(super) requirements: Arc<[Requirement]>,
    pub(super) errors: ErrorFormat,
}

impl<S> Guarded<S> {
    crate::layers::inner_accessors!();

    fn answer<ReqBody, ResBody: From<Bytes>>(&self, request: &mut Request<ReqBody>) -> Option<Response<ResBody>> {
        let refusal = self.judge(request.extensions()).err()?;
        let challenges = request.extensions().get::<Challenges>().cloned();
        Some(refusal.into_response(&self.requirements, challenges, self.errors))
    }

    fn judge(&self, extensions: &Extensions) -> Result<(), Refusal> {
        let claims = extensions.get::<Claims>().ok_or(Refusal::Unknown)?;
        let unmet = self.requirements.iter().find(|requirement| !requirement.is_met(claims));
        unmet.map_or(Ok(()), |unmet| Err(Refusal::of(unmet)))
    }
}

crate::layers::gate!(Guarded);
