//! Answers: JSON, and `application/problem+json` for everything that is no success.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

/// An answer.
pub(in crate::fns) type Answer = Response<Body>;

/// Why a request is not answered with what it wanted.
#[derive(Debug)]
pub(in crate::fns) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    retry_after_s: Option<u64>,
    allow: Option<&'static str>,
}

/// One wrong member of a request.
#[derive(Debug, Serialize)]
pub(in crate::fns) struct FieldError {
    field: &'static str,
    text: &'static str,
}

/// The problem as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProblemJson<'p> {
    #[serde(rename = "type")]
    kind: String,
    title: &'p str,
    status: u16,
    detail: &'p str,
    code: &'p str,
    request_id: &'p str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'p [FieldError],
}

impl Problem {
    /// A problem with its code.
    pub(in crate::fns) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new(), retry_after_s: None, allow: None }
    }

    /// 404.
    pub(in crate::fns) fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 405.
    pub(in crate::fns) fn not_allowed(allow: &'static str) -> Self {
        let detail = format!("the method here is {allow}");
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", detail);
        Self { allow: Some(allow), ..problem }
    }

    /// 422.
    pub(in crate::fns) fn invalid(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// With what is wrong, member by member.
    pub(in crate::fns) fn with_errors(mut self, errors: Vec<(&'static str, &'static str)>) -> Self {
        self.errors = errors.into_iter().map(|(field, text)| FieldError { field, text }).collect();
        self
    }

    /// With the time before which there is no use in asking again.
    pub(in crate::fns) fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Its code, as the answer spells it.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// The answer.
    pub(in crate::fns) fn into_answer(self, request_id: &str) -> Answer {
        let body = ProblemJson {
            kind: format!("urn:fns-sim:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("problem"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            request_id,
            errors: &self.errors,
        };
        let mut answer = json(self.status, &body);
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        answer
    }
}

/// A value as JSON.
pub(in crate::fns) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => with_type(status, "application/json", body),
        Err(error) => with_type(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
    }
}

/// A body of a media type.
pub(in crate::fns) fn with_type(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Body>,
) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer
}
