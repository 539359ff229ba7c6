//! Who may ask, and how often.

use super::{Shared, answer::Failed};
use crate::fleet::store::Token;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, header::AUTHORIZATION},
    middleware::Next,
    response::Response,
};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::{fmt, num::NonZeroU32, sync::Arc};

/// Requests of each token.
pub(super) struct Limiter(DefaultKeyedRateLimiter<String>);

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").finish_non_exhaustive()
    }
}

impl Limiter {
    pub(super) fn new(rate: NonZeroU32) -> Self {
        let burst = rate.saturating_mul(NonZeroU32::MIN.saturating_add(9));
        Self(RateLimiter::keyed(Quota::per_second(rate).allow_burst(burst)))
    }

    fn admits(&self, name: &str) -> bool {
        self.0.check_key(&name.to_owned()).is_ok()
    }
}

/// Lets a request through that has a token, which the handlers find in its extensions.
pub(super) async fn only_with_token(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Failed> {
    let secret = bearer(request.headers()).ok_or_else(Failed::no_token)?;
    let token = shared.intake.store().token(secret).await?.ok_or_else(Failed::no_token)?;
    if !shared.limiter.admits(&token.name) {
        return Err(Failed::too_many());
    }
    request.extensions_mut().insert(token);
    Ok(next.run(request).await)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

/// Refuses what operators alone may do.
pub(super) fn only_operators(token: &Token) -> Result<(), Failed> {
    if token.operator { Ok(()) } else { Err(Failed::not_allowed()) }
}
