//! Reading of requests: paths, queries, bodies of bounded size.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};

use super::answer::Problem;
use crate::fns::connection::Peer;

/// Patience with the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A request whose body was not read yet.
pub(in crate::fns) struct Incoming {
    pub(in crate::fns) method: Method,
    pub(in crate::fns) path: String,
    pub(in crate::fns) query: String,
    pub(in crate::fns) headers: HeaderMap,
    pub(in crate::fns) body: Body,
    pub(in crate::fns) peer: Peer,
}

impl Incoming {
    pub(in crate::fns) fn new(request: Request<Body>, peer: Peer) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or("").to_owned(),
            headers: parts.headers,
            body,
            peer,
        }
    }

    /// A header as text.
    pub(in crate::fns) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Value of a query parameter, decoded.
    pub(in crate::fns) fn parameter(&self, name: &str) -> Option<String> {
        form_values(&self.query).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// A query parameter that is a number within bounds; `default` when absent.
    pub(in crate::fns) fn number(
        &self,
        name: &str,
        bounds: std::ops::RangeInclusive<u64>,
        default: u64,
    ) -> Result<u64, Problem> {
        let Some(text) = self.parameter(name) else { return Ok(default) };
        match text.parse() {
            Ok(number) if bounds.contains(&number) => Ok(number),
            _ => {
                let detail = format!("{name} is a number from {} to {}", bounds.start(), bounds.end());
                Err(Problem::new(StatusCode::BAD_REQUEST, "PARAMETER_INVALID", detail))
            }
        }
    }

    /// The media type without parameters, lower case.
    pub(in crate::fns) fn media_type(&self) -> String {
        let value = self.header(header::CONTENT_TYPE.as_str()).unwrap_or("");
        value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
    }

    /// The whole body, at most `limit` bytes of it.
    pub(in crate::fns) async fn read(self, limit: usize, too_large: &'static str) -> Result<Bytes, Problem> {
        let late =
            || Problem::new(StatusCode::REQUEST_TIMEOUT, "BODY_TIMEOUT", "the body did not come in time");
        let read =
            tokio::time::timeout(BODY_TIMEOUT, to_bytes(self.body, limit)).await.map_err(|_| late())?;
        read.map_err(|error| {
            // The two reasons cannot be told apart by type; a broken connection does not read the answer anyway.
            let detail = format!("the body has more than {limit} bytes or broke off: {error}");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, too_large, detail)
        })
    }
}

/// Names and values of `application/x-www-form-urlencoded`.
pub(in crate::fns) fn form_values(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decoded(name), percent_decoded(value))
        })
        .collect()
}

/// Text of a form; what is no escape stays as it is, what is no UTF-8 becomes the replacement character.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => match behind.split_first_chunk::<2>().and_then(|(digits, behind)| {
                let digits = str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
                Some((u8::from_str_radix(digits, 16).ok()?, behind))
            }) {
                Some((decoded, behind)) => {
                    bytes.push(decoded);
                    rest = behind;
                }
                None => bytes.push(b'%'),
            },
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let expected: Vec<_> =
                expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(form_values(text), expected, "{text}");
        };
        check("", &[]);
        check("a=1&b", &[("a", "1"), ("b", "")]);
        check("a=03.03.2017+11%3A38", &[("a", "03.03.2017 11:38")]);
        check("a=%D0%A4%D0%94", &[("a", "ФД")]);
        check("a=%&b=%4&c=%zz&d=%+1", &[("a", "%"), ("b", "%4"), ("c", "%zz"), ("d", "% 1")]);
        check("a=%FF", &[("a", "\u{FFFD}")]);
    }
}
