//! The part of a service file that belongs to this program, between two markers. All other bytes stay as they are.

use std::ops::Range;

const BEGIN: &str = "# BEGIN rds-auth-proxy";
const END: &str = "# END rds-auth-proxy";
const EXPLANATION: &str =
    "# `rds-auth-proxy export --format service --write` replaces these lines, and `--remove` takes them out.";

/// The markers do not enclose one part.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line} is a marker of rds-auth-proxy without its counterpart; remove it, and the lines that belong to it"
)]
pub(super) struct Malformed {
    line: usize,
}

/// The file with these services in the part. A file without the part gets it at its end, behind an empty line, so that a
/// service of the same name before it counts.
pub(super) fn with_services(file: &[u8], services: &str) -> Result<Vec<u8>, Malformed> {
    let part = format!("{BEGIN}\n{EXPLANATION}\n{services}{END}\n");
    let found = find(file)?;
    let separator: &[u8] = if found.is_none() && !file.is_empty() { b"\n" } else { b"" };
    let (before, behind) = around(file, found.unwrap_or(file.len()..file.len()));
    Ok([before, separator, part.as_bytes(), behind].concat())
}

/// The file without the part, and without the line end that came with it.
pub(super) fn without_services(file: &[u8]) -> Result<Vec<u8>, Malformed> {
    let Some(found) = find(file)? else { return Ok(file.to_vec()) };
    let (before, behind) = around(file, found);
    // The line end before the part ends the last line of the file where that has none itself.
    let is_separator = behind.is_empty() || before.ends_with(b"\n\n") || before == b"\n";
    let before = before.strip_suffix(b"\n").filter(|_| is_separator).unwrap_or(before);
    Ok([before, behind].concat())
}

/// The names of the services outside of the part.
pub(super) fn other_services(file: &[u8]) -> Result<Vec<String>, Malformed> {
    let (before, behind) = around(file, find(file)?.unwrap_or(file.len()..file.len()));
    let lines = before.split(|byte| *byte == b'\n').chain(behind.split(|byte| *byte == b'\n'));
    let name = |line: &[u8]| {
        let name = line.trim_ascii().strip_prefix(b"[")?;
        Some(String::from_utf8_lossy(name.split(|byte| *byte == b']').next()?).into_owned())
    };
    Ok(lines.filter_map(name).collect())
}

fn around(file: &[u8], part: Range<usize>) -> (&[u8], &[u8]) {
    (file.get(..part.start).unwrap_or_default(), file.get(part.end..).unwrap_or_default())
}

/// The part with its markers and the end of its last line.
fn find(file: &[u8]) -> Result<Option<Range<usize>>, Malformed> {
    let (mut open, mut found, mut start) = (None, None, 0);
    for (line, number) in file.split_inclusive(|byte| *byte == b'\n').zip(1..) {
        let end = start + line.len();
        let text = line.trim_ascii_end();
        if text == BEGIN.as_bytes() {
            if open.is_some() || found.is_some() {
                return Err(Malformed { line: number });
            }
            open = Some((start, number));
        } else if text == END.as_bytes() {
            let Some((begin, _)) = open.take() else { return Err(Malformed { line: number }) };
            found = Some(begin..end);
        }
        start = end;
    }
    match open {
        Some((_, line)) => Err(Malformed { line }),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SERVICES: &str = "[orders]\nhost=127.0.0.1\n";

    fn with(file: &str, services: &str) -> String {
        String::from_utf8(with_services(file.as_bytes(), services).unwrap()).unwrap()
    }

    #[test]
    fn the_part_comes_last_and_is_replaced_in_its_place() {
        let written = with("[mine]\nhost=x\n", SERVICES);
        let part = format!("{BEGIN}\n{EXPLANATION}\n{SERVICES}{END}\n");
        assert_eq!(written, format!("[mine]\nhost=x\n\n{part}"));
        assert_eq!(with(&written, SERVICES), written);
        let later = format!("{written}[more]\nhost=y");
        let replaced = with(&later, "[people]\n");
        assert!(
            replaced.starts_with("[mine]") && replaced.ends_with(&format!("[people]\n{END}\n[more]\nhost=y"))
        );
        assert_eq!(with("", SERVICES), part);
    }

    #[test]
    fn a_line_that_follows_the_part_is_not_joined_with_the_one_before() {
        let written = with("[mine]\nhost=x", SERVICES) + "[more]\n";
        assert_eq!(without_services(written.as_bytes()).unwrap(), b"[mine]\nhost=x\n[more]\n");
    }

    #[test]
    fn markers_without_a_counterpart_are_named() {
        for (file, line) in [
            (format!("{BEGIN}\n[a]\n"), 1),
            (format!("[a]\n{END}\n"), 2),
            (format!("{BEGIN}\n{END}\n{BEGIN}\n{END}\n"), 3),
            (format!("{BEGIN}\r\n\n{BEGIN}\n{END}"), 3),
        ] {
            assert_eq!(with_services(file.as_bytes(), SERVICES), Err(Malformed { line }));
            assert_eq!(without_services(file.as_bytes()), Err(Malformed { line }));
        }
    }

    #[test]
    fn services_outside_of_the_part_are_found() {
        let file = with("[mine]\r\n #[no]\n", SERVICES) + "  [more] # x\n";
        assert_eq!(other_services(file.as_bytes()).unwrap(), ["mine", "more"]);
    }

    proptest! {
        #[test]
        fn every_other_byte_stays(file in proptest::collection::vec(any::<u8>(), 0..200)) {
            let written = with_services(&file, SERVICES).unwrap();
            prop_assert!(written.starts_with(&file));
            prop_assert_eq!(with_services(&written, SERVICES).unwrap(), written.clone());
            prop_assert_eq!(without_services(&written).unwrap(), file);
        }

        #[test]
        fn lines_stay(lines in proptest::collection::vec("[a-z#\\[\\]= \r]{0,8}\n?", 0..10)) {
            let file = lines.concat().into_bytes();
            let written = with_services(&file, SERVICES).unwrap();
            prop_assert_eq!(without_services(&written).unwrap(), file);
        }
    }
}
