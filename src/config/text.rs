//! The text of a configuration file.

use std::io;

/// The byte order marks of the Unicode Standard, section 23.8. Editors on Windows write them.
const UTF_8: &[u8] = b"\xef\xbb\xbf";
const UTF_16_LITTLE: &[u8] = b"\xff\xfe";
const UTF_16_BIG: &[u8] = b"\xfe\xff";

/// The text in UTF-8, with or without a byte order mark, or in UTF-16 with one: the encodings of YAML 1.2 (section 5.2)
/// that programs still write. The Go program reads them too.
pub(super) fn text(bytes: Vec<u8>) -> io::Result<String> {
    if let Some(units) = bytes.strip_prefix(UTF_16_LITTLE) {
        return utf_16(units, u16::from_le_bytes);
    }
    if let Some(units) = bytes.strip_prefix(UTF_16_BIG) {
        return utf_16(units, u16::from_be_bytes);
    }
    let text = match bytes.strip_prefix(UTF_8) {
        Some(rest) => String::from_utf8(rest.to_vec()),
        None => String::from_utf8(bytes),
    };
    text.map_err(|_| not_text())
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> io::Result<String> {
    let (units, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err(not_text());
    }
    let units = units.iter().map(|bytes| unit(*bytes));
    char::decode_utf16(units).collect::<Result<_, _>>().map_err(|_| not_text())
}

fn not_text() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text; save it as UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_with_a_byte_order_mark_is_read() {
        let [little, big] = [u16::to_le_bytes, u16::to_be_bytes]
            .map(|bytes| "a: \u{e9}\u{1f600}".encode_utf16().flat_map(bytes).collect::<Vec<_>>());
        for bytes in [
            "a: \u{e9}\u{1f600}".into(),
            [UTF_8, "a: \u{e9}\u{1f600}".as_bytes()].concat(),
            [UTF_16_LITTLE, &little].concat(),
            [UTF_16_BIG, &big].concat(),
        ] {
            assert_eq!(text(bytes).unwrap(), "a: \u{e9}\u{1f600}");
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        for bytes in [&b"a: \xff"[..], b"\xff\xfea", b"\xff\xfe\x00\xd8", b"\xef\xbb\xbf\xff"] {
            assert!(text(bytes.to_vec()).unwrap_err().to_string().contains("save it as UTF-8"));
        }
    }
}
