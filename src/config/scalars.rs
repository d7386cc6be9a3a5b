//! Parses the text of one value: addresses, ports, durations, numbers, paths.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use tracing::level_filters::LevelFilter;

use super::settings::{Drain, OnFull};
use crate::catalog::AuthMethods;
use crate::net::{Address, HostPort};

/// A type that is parsed from the text of a value.
pub(super) trait Scalar: Sized {
    /// What the text must be, for errors.
    const EXPECTED: &'static str;

    fn read(text: &str) -> Option<Self>;
}

/// A field that holds a scalar.
#[derive(Clone)]
pub(super) struct Parsed<T>(pub(super) T);

impl<'de, T: Scalar> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor(PhantomData)).map(Self)
    }
}

struct ScalarVisitor<T>(PhantomData<T>);

impl<T: Scalar> Visitor<'_> for ScalarVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::read(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &T::EXPECTED))
    }
}

/// The address of a listener: an address, or `:PORT` for every interface, as in Go programs.
#[derive(Clone)]
pub(super) struct ListenAddress(pub(super) Address);

/// A greatest age; absent: any.
#[derive(Clone, Copy)]
pub(super) struct MaxAge(pub(super) Option<Duration>);

/// A DNS name, without a port.
#[derive(Clone)]
pub(super) struct HostName(pub(super) String);

/// The path of a file, not yet expanded.
#[derive(Clone)]
pub(super) struct PathText(pub(super) String);

impl Scalar for ListenAddress {
    const EXPECTED: &'static str = "an address of the form HOST:PORT or unix:/path";

    fn read(text: &str) -> Option<Self> {
        let everywhere = text.starts_with(':').then(|| format!("0.0.0.0{text}"));
        everywhere.as_deref().unwrap_or(text).parse().ok().map(Self)
    }
}

impl Scalar for Address {
    const EXPECTED: &'static str = "an address of the form HOST:PORT or unix:/path";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Scalar for HostName {
    const EXPECTED: &'static str = "a host name without a port";

    fn read(text: &str) -> Option<Self> {
        let part_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (!text.is_empty() && text.bytes().all(part_of_name)).then(|| Self(text.to_owned()))
    }
}

impl Scalar for HostPort {
    const EXPECTED: &'static str = "an address of the form HOST:PORT";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Scalar for u16 {
    const EXPECTED: &'static str = "a port from 1 to 65535";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().filter(|port| *port != 0)
    }
}

impl Scalar for NonZeroUsize {
    const EXPECTED: &'static str = "a whole number of at least 1";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Scalar for Duration {
    const EXPECTED: &'static str = "a duration with its unit, such as 500ms, 30s or 5m";

    fn read(text: &str) -> Option<Self> {
        if text == "0" { Some(Self::ZERO) } else { humantime::parse_duration(text).ok() }
    }
}

impl Scalar for Drain {
    const EXPECTED: &'static str = "a duration with its unit, such as 500ms, 30s or 5m, or forever";

    fn read(text: &str) -> Option<Self> {
        if text == "forever" { Some(Self::Forever) } else { Duration::read(text).map(Self::After) }
    }
}

impl Scalar for MaxAge {
    const EXPECTED: &'static str = "a duration with its unit, such as 30m or 24h, or forever";

    fn read(text: &str) -> Option<Self> {
        if text == "forever" { Some(Self(None)) } else { Duration::read(text).map(|age| Self(Some(age))) }
    }
}

impl Scalar for AuthMethods {
    const EXPECTED: &'static str =
        "password, md5, scram-sha-256 or none, several with commas, or all with a `!` to exclude them";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Scalar for OnFull {
    const EXPECTED: &'static str = "drop or refuse";

    fn read(text: &str) -> Option<Self> {
        match text {
            "drop" => Some(Self::Drop),
            "refuse" => Some(Self::Refuse),
            _ => None,
        }
    }
}

impl Scalar for LevelFilter {
    const EXPECTED: &'static str = "one of trace, debug, info, warn, error";

    fn read(text: &str) -> Option<Self> {
        log_level(text)
    }
}

/// The log level of this name, in any case. tracing accepts numbers and `off` too, but a proxy without any log cannot be
/// operated.
#[must_use]
pub fn log_level(name: &str) -> Option<LevelFilter> {
    let name = name.to_ascii_lowercase();
    let level: LevelFilter = name.parse().ok()?;
    (level != LevelFilter::OFF && level.to_string() == name).then_some(level)
}

impl Scalar for PathText {
    const EXPECTED: &'static str = "the path of a file";

    fn read(text: &str) -> Option<Self> {
        let plausible = !text.is_empty() && !text.contains(['\n', '\0']);
        plausible.then(|| Self(text.to_owned()))
    }
}
