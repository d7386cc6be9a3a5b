//! The token in a request.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

/// What the header `Authorization` has.
#[derive(PartialEq, Eq)]
pub(super) enum Authorization<'a> {
    /// A text, which may be a token.
    Token(&'a [u8]),
    /// Nothing, or several headers.
    Missing,
}

/// The token: the whole value, as the SDKs send it, or what follows `Bearer `.
pub(super) fn of(headers: &HeaderMap) -> Authorization<'_> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Authorization::Missing };
    let value = value.as_bytes().trim_ascii();
    match value.split_at_checked(BEARER.len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(BEARER) => {
            Authorization::Token(token.trim_ascii())
        }
        Some(_) | None if value.is_empty() => Authorization::Missing,
        Some(_) | None => Authorization::Token(value),
    }
}

/// RFC 6750, section 2.1. No token has a space, so a token never begins like this.
const BEARER: &[u8] = b"Bearer ";

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(headers: &'a mut HeaderMap, values: &[&str]) -> Authorization<'a> {
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        of(headers)
    }

    #[test]
    fn the_token_stands_alone_or_behind_bearer() {
        for (values, expected) in [
            (&["secret"][..], Authorization::Token(b"secret")),
            (&["Bearer secret"], Authorization::Token(b"secret")),
            (&["bearer  secret "], Authorization::Token(b"secret")),
            (&["Bearersecret"], Authorization::Token(b"Bearersecret")),
            (&["Basic secret"], Authorization::Token(b"Basic secret")),
            (&[], Authorization::Missing),
            (&[""], Authorization::Missing),
            (&["secret", "secret"], Authorization::Missing),
        ] {
            assert!(read(&mut HeaderMap::new(), values) == expected, "{values:?}");
        }
    }
}
