//! The document that describes the service.

use super::{api, events};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

#[derive(OpenApi)]
#[openapi(
    info(title = "zkvouch", description = "Predictions of one model, proved and recorded."),
    paths(
        api::predict,
        api::jobs,
        api::job,
        api::proof,
        api::receipt,
        api::path,
        api::retry,
        api::cancel,
        api::circuit,
        api::overview,
        api::submissions,
        events::events,
    ),
    modifiers(&Bearer),
    security(("bearer" = []))
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("bearer", scheme);
    }
}

/// The OpenAPI document of the service.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}
