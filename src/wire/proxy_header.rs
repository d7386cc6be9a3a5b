//! The header of the PROXY protocol, in which a load balancer states the address of the peer behind it. Source: `HAProxy`, "The
//! PROXY protocol, versions 1 & 2", section 2.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;

use crate::wire::DecodeError;
use crate::wire::reader::Reader;

const MESSAGE: &str = "PROXY protocol header";

/// How version 1 begins, a line of text.
const TEXT: &[u8] = b"PROXY ";
/// The shortest line, `PROXY UNKNOWN`, and the longest one, with their ends.
const MIN_TEXT: usize = 15;
const MAX_TEXT: usize = 107;
const LINE_END: &[u8] = b"\r\n";

/// How version 2 begins.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, a byte with version and command, one with family and transport, and two for the length of the rest.
const FIXED: usize = 16;
/// The longest rest. The specification means a header to have 536 bytes; a certificate of the client's may make it longer.
const MAX_REST: usize = 4096;

// The commands, families and transports of version 2, section 2.2.
const LOCAL: u8 = 0;
const PROXY: u8 = 1;
const INET: u8 = 1;
const INET6: u8 = 2;
const UNIX: u8 = 3;
const STREAM: u8 = 1;
const DATAGRAM: u8 = 2;

/// How many bytes of a header are missing at least, behind those that are there: 0 at its end. A reader that reads as many, and
/// then decides again, never reads a byte behind the header.
///
/// # Errors
/// [`DecodeError::NoProxyHeader`] where no header begins so, else [`DecodeError::Malformed`].
pub fn proxy_header_missing(begin: &[u8]) -> Result<usize, DecodeError> {
    let missing = TEXT.len().saturating_sub(begin.len());
    if is_begin(begin, TEXT) {
        if missing > 0 { Ok(missing) } else { missing_of_text(begin) }
    } else if is_begin(begin, SIGNATURE) {
        if missing > 0 { Ok(missing) } else { missing_of_binary(begin) }
    } else {
        Err(DecodeError::NoProxyHeader)
    }
}

/// Reads a whole header. Returns the address of the peer; `None` where the header states none, so that the peer is the load
/// balancer itself, as in its health checks, or is not known. Extensions (TLVs) are skipped.
///
/// # Errors
/// [`DecodeError::Malformed`], and the other ones of a decoder.
pub fn decode_proxy_header(header: &[u8]) -> Result<Option<SocketAddr>, DecodeError> {
    let address = match header.strip_prefix(SIGNATURE) {
        Some(rest) => decode_binary(rest),
        None => decode_text(header),
    };
    // An IPv4 address has one form in logs and limits, also where a balancer has it in IPv6.
    Ok(address?.map(|address| SocketAddr::new(address.ip().to_canonical(), address.port())))
}

fn is_begin(begin: &[u8], whole: &[u8]) -> bool {
    let length = begin.len().min(whole.len());
    begin.get(..length) == whole.get(..length)
}

fn missing_of_text(line: &[u8]) -> Result<usize, DecodeError> {
    let end = line.iter().position(|byte| LINE_END.contains(byte)).and_then(|at| line.get(at..));
    match end {
        Some(LINE_END) => Ok(0),
        Some(b"\r") if line.len() < MAX_TEXT => Ok(1),
        None if line.len() + LINE_END.len() <= MAX_TEXT => {
            Ok(MIN_TEXT.saturating_sub(line.len()).max(LINE_END.len()))
        }
        Some(b"\r") | None => Err(malformed("more than 107 bytes in its line")),
        Some(_) => Err(malformed("a line that does not end with CR LF")),
    }
}

fn missing_of_binary(begin: &[u8]) -> Result<usize, DecodeError> {
    let Some(&[version, _, high, low]) = begin.get(SIGNATURE.len()..FIXED) else {
        return Ok(FIXED.saturating_sub(begin.len()));
    };
    check_version(version)?;
    match usize::from(u16::from_be_bytes([high, low])) {
        rest if rest > MAX_REST => Err(malformed("more than 4,096 bytes behind its first 16")),
        rest => Ok((FIXED + rest).saturating_sub(begin.len())),
    }
}

fn check_version(version_and_command: u8) -> Result<(), DecodeError> {
    if version_and_command >> 4 == 2 { Ok(()) } else { Err(malformed("a version that is neither 1 nor 2")) }
}

fn decode_text(line: &[u8]) -> Result<Option<SocketAddr>, DecodeError> {
    let line = line.strip_prefix(TEXT).and_then(|line| line.strip_suffix(LINE_END));
    let mut fields = line.ok_or(malformed("an incomplete line"))?.split(|byte| *byte == b' ');
    let family = fields.next().unwrap_or_default();
    if family == b"UNKNOWN" {
        return Ok(None);
    }
    let fields: Vec<_> = fields.collect();
    let [source, destination, source_port, destination_port] = fields.as_slice() else {
        return Err(malformed("a line without exactly two addresses and two ports"));
    };
    let (source, _) = match family {
        b"TCP4" => (ip::<Ipv4Addr>(source)?, ip::<Ipv4Addr>(destination)?),
        b"TCP6" => (ip::<Ipv6Addr>(source)?, ip::<Ipv6Addr>(destination)?),
        _ => return Err(malformed("a family that is not TCP4, TCP6 or UNKNOWN")),
    };
    let (source_port, _) = (port(source_port)?, port(destination_port)?);
    Ok(Some(SocketAddr::new(source, source_port)))
}

fn ip<T: FromStr + Into<IpAddr>>(text: &[u8]) -> Result<IpAddr, DecodeError> {
    let address = str::from_utf8(text).ok().and_then(|text| text.parse::<T>().ok());
    address.map(Into::into).ok_or(malformed("an address that is none of its family"))
}

fn port(text: &[u8]) -> Result<u16, DecodeError> {
    let digits = text.iter().all(u8::is_ascii_digit) && (text.len() == 1 || text.first() != Some(&b'0'));
    let number = str::from_utf8(text).ok().filter(|_| digits).and_then(|text| text.parse().ok());
    number.ok_or(malformed("a port that is no number from 0 to 65535"))
}

/// `rest`: what follows the signature.
fn decode_binary(rest: &[u8]) -> Result<Option<SocketAddr>, DecodeError> {
    let mut reader = Reader::new(MESSAGE, rest);
    let [version_and_command, family_and_transport] = reader.array()?;
    check_version(version_and_command)?;
    let length = u16::from_be_bytes(reader.array()?);
    let block = reader.remainder();
    if block.len() != usize::from(length) {
        return Err(DecodeError::Truncated { message: MESSAGE });
    }
    match version_and_command & 0xf {
        // The rest of the header has no meaning then.
        LOCAL => return Ok(None),
        PROXY => {}
        _ => return Err(malformed("an unknown command")),
    }
    let mut reader = Reader::new(MESSAGE, block);
    match (family_and_transport >> 4, family_and_transport & 0xf) {
        (INET, STREAM) => addresses(&mut reader, <[u8; 4]>::into).map(Some),
        (INET6, STREAM) => addresses(&mut reader, <[u8; 16]>::into).map(Some),
        // Valid, but no TCP: without an address, as the specification wants it of those who do not support them.
        (0..=UNIX, 0..=DATAGRAM) => Ok(None),
        _ => Err(malformed("an unknown family or transport")),
    }
}

/// The source; the block has source and destination, and then their ports.
fn addresses<const N: usize>(
    reader: &mut Reader<'_>,
    ip: impl Fn([u8; N]) -> IpAddr,
) -> Result<SocketAddr, DecodeError> {
    let [source, _] = [reader.array()?, reader.array()?];
    let [port, _] = [reader.array()?, reader.array()?].map(u16::from_be_bytes);
    Ok(SocketAddr::new(ip(source), port))
}

fn malformed(problem: &'static str) -> DecodeError {
    DecodeError::Malformed { message: MESSAGE, problem }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn binary(version_and_command: u8, family_and_transport: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[version_and_command, family_and_transport], &length, rest].concat()
    }

    /// Reads as the session does. Returns the address and the number of bytes read.
    fn read(stream: &[u8]) -> Result<(Option<SocketAddr>, usize), DecodeError> {
        let mut length = 1;
        loop {
            match proxy_header_missing(&stream[..length])? {
                0 => return decode_proxy_header(&stream[..length]).map(|address| (address, length)),
                missing if length + missing > stream.len() => {
                    return Err(DecodeError::Truncated { message: MESSAGE });
                }
                missing => length += missing,
            }
        }
    }

    fn expect(header: &[u8], peer: Option<&str>) {
        let peer = peer.map(|peer| peer.parse().unwrap());
        for behind in [&b""[..], b"\r\n", b"\0\0\0\x08", &[0x16; 300]] {
            let stream = [header, behind].concat();
            assert_eq!(read(&stream), Ok((peer, header.len())), "{}", header.escape_ascii());
        }
        for cut in 1..header.len() {
            assert!(read(&header[..cut]).is_err(), "{cut} of {}", header.escape_ascii());
        }
    }

    const IPV4: &[u8] = &[192, 0, 2, 7, 198, 51, 100, 9, 0x15, 0x38, 0x1f, 0x40];

    #[test]
    fn a_header_states_the_peer() {
        expect(b"PROXY TCP4 192.0.2.7 198.51.100.9 5432 8000\r\n", Some("192.0.2.7:5432"));
        expect(b"PROXY TCP4 1.1.1.1 1.1.1.1 0 0\r\n", Some("1.1.1.1:0"));
        expect(b"PROXY TCP6 2001:db8::7 2001:DB8::9 65535 1\r\n", Some("[2001:db8::7]:65535"));
        expect(b"PROXY TCP6 ::ffff:192.0.2.7 :: 1 1\r\n", Some("192.0.2.7:1"));
        expect(&binary(0x21, 0x11, IPV4), Some("192.0.2.7:5432"));
        let ipv6 = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[7], &[9; 16], &[0x15, 0x38, 0, 1]].concat();
        expect(&binary(0x21, 0x21, &ipv6), Some("[2001:db8::7]:5432"));
        // With extensions, also of a longer size than they say.
        expect(
            &binary(0x21, 0x11, &[IPV4, &[0xea, 0, 3, 1, 2, 3, 4, 0xff, 0xff]].concat()),
            Some("192.0.2.7:5432"),
        );
        expect(&binary(0x21, 0x11, &[IPV4, &[0; MAX_REST - 12]].concat()), Some("192.0.2.7:5432"));
    }

    #[test]
    fn a_header_may_state_no_peer() {
        expect(b"PROXY UNKNOWN\r\n", None);
        expect(b"PROXY UNKNOWN ffff::ffff \xff \x00 65535\r\n", None);
        let longest = [b"PROXY UNKNOWN ".as_slice(), &[b'f'; 91], LINE_END].concat();
        assert_eq!(longest.len(), MAX_TEXT);
        expect(&longest, None);
        // LOCAL, with and without a block; a block without a known family; datagrams and Unix sockets.
        for (command, family, rest) in [
            (0x20, 0x00, &b""[..]),
            (0x20, 0x11, IPV4),
            (0x20, 0xff, b"anything"),
            (0x21, 0x00, b""),
            (0x21, 0x10, IPV4),
            (0x21, 0x12, IPV4),
            (0x21, 0x31, &[b'/'; 216]),
        ] {
            expect(&binary(command, family, rest), None);
        }
    }

    #[test]
    fn a_malformed_header_is_an_error_that_says_how() {
        for (header, problem) in [
            (&b"PROXY TCP4 192.0.2.7 198.51.100.9 5432\r\n"[..], "two addresses and two ports"),
            (b"PROXY TCP4 192.0.2.7 198.51.100.9 1 2 3\r\n", "two addresses and two ports"),
            (b"PROXY TCP4  192.0.2.7 198.51.100.9 1 2\r\n", "two addresses and two ports"),
            (b"PROXY TCP4 192.0.2.07 198.51.100.9 1 2\r\n", "an address"),
            (b"PROXY TCP4 ::1 ::1 1 2\r\n", "an address"),
            (b"PROXY TCP6 192.0.2.7 198.51.100.9 1 2\r\n", "an address"),
            (b"PROXY TCP4 192.0.2.7 nowhere 1 2\r\n", "an address"),
            (b"PROXY TCP4 192.0.2.7 198.51.100.9 65536 2\r\n", "a port"),
            (b"PROXY TCP4 192.0.2.7 198.51.100.9 +1 2\r\n", "a port"),
            (b"PROXY TCP4 192.0.2.7 198.51.100.9 01 2\r\n", "a port"),
            (b"PROXY TCP4 192.0.2.7 198.51.100.9 1 \r\n", "a port"),
            (b"PROXY UDP4 192.0.2.7 198.51.100.9 1 2\r\n", "a family"),
            (b"PROXY unknown nothing\r\n", "two addresses and two ports"),
            (b"PROXY TCP4 192.0.2.7 198.51.100.9 1 2\n\0\0\0\x08", "CR LF"),
            (b"PROXY TCP4 192.0.2.7 198.51.100.9 1 2\r\r\n", "CR LF"),
            (b"PROXY TCP4 192.0.2.7\n198.51.100.9 1 2\r\n", "CR LF"),
            (&[b"PROXY ".as_slice(), &[b'x'; 1000]].concat(), "107 bytes"),
            (&[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 92], LINE_END].concat(), "107 bytes"),
            (&binary(0x11, 0x11, IPV4), "a version"),
            (&binary(0x22, 0x11, IPV4), "an unknown command"),
            (&binary(0x21, 0x41, IPV4), "an unknown family"),
            (&binary(0x21, 0x13, IPV4), "an unknown family"),
            (&binary(0x21, 0x11, &[0; MAX_REST + 1]), "4,096 bytes"),
        ] {
            let error = read(header).unwrap_err().to_string();
            assert!(error.contains(problem), "{}: {error}", header.escape_ascii());
        }
        let short = read(&binary(0x21, 0x21, IPV4)).unwrap_err();
        assert_eq!(short, DecodeError::Truncated { message: MESSAGE });
    }

    /// An application without a load balancer gets its answer at once, not when the time is over.
    #[test]
    fn another_protocol_is_known_by_its_first_bytes() {
        for other in [
            &b"\0\0\0\x08\x04\xd2\x16\x2f"[..],
            b"\x16\x03\x01\x02\0\x01",
            b"GET / ",
            b"PROXIE",
            b"\r\n\r\n\r\n",
        ] {
            assert_eq!(read(other), Err(DecodeError::NoProxyHeader), "{}", other.escape_ascii());
        }
    }

    proptest! {
        /// A reader stops within the limits, and reads no byte behind the header.
        #[test]
        fn any_bytes_are_read_within_the_limits(
            text in any::<bool>(),
            rest in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let stream = [if text { TEXT } else { SIGNATURE }, &rest].concat();
            if let Ok((_, length)) = read(&stream) {
                let limit = if text { MAX_TEXT } else { FIXED + MAX_REST };
                prop_assert!(length <= limit);
                prop_assert_eq!(proxy_header_missing(&stream[..length]), Ok(0));
            }
            let _total = (proxy_header_missing(&rest), decode_proxy_header(&rest));
        }
    }
}
