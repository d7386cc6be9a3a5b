//! What both programs share: the checks, and their results on standard output (see `run.sh`).

use std::env;
use std::error::Error;
use std::io::BufRead;

/// The result of a check.
pub type Checked<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

pub const ROWS: usize = 51_200;
pub const LARGE: &str = "select n, repeat(md5(n::text), 32) from generate_series(1, 51200) as n";

/// 10,000 rows of COPY's text format.
pub fn copied() -> String {
    (0..10_000).map(|number| format!("{number}\tżółw {number}\n")).collect()
}

pub fn report(check: &str, result: &Checked) {
    match result {
        Ok(()) => println!("{check}\tok"),
        Err(error) => println!("{check}\tfail\t{}", chain(error.as_ref()).replace(['\t', '\n'], " ")),
    }
}

fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// Has the server restarted, and returns once it listens.
pub fn restart() {
    println!("restart");
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
}

/// A variable of libpq; empty if it is not set.
pub fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// An error unless `condition` holds.
pub fn ensure(condition: bool, text: &str) -> Checked {
    if condition { Ok(()) } else { Err(text.into()) }
}

/// Checks the rows of [`LARGE`]: 50 MiB of text.
pub fn verify_large(rows: impl ExactSizeIterator<Item = (i32, String)>) -> Checked {
    ensure(rows.len() == ROWS, "rows are missing")?;
    for (expected, (number, text)) in (1..).zip(rows) {
        ensure(number == expected && text.len() == 1024, &format!("row {expected} is wrong"))?;
    }
    Ok(())
}

pub fn is_division_by_zero(state: Option<&str>) -> Checked {
    ensure(state == Some("22012"), &format!("SQLSTATE {state:?}"))
}
