//! Names the key that the author of an unknown key means.

/// The most similar of the known names, or all of them if none is similar.
pub(super) fn suggestion(unknown: &str, known: &[&str]) -> String {
    let plain = unknown.to_lowercase().replace('-', "_");
    let near = known
        .iter()
        .map(|name| (distance(&plain, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance);
    match near {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None if known.contains(&"upstream_proxies") => {
            format!("the keys here are {}, and `x-…` for parts that only aliases use", known.join(", "))
        }
        None => format!("the keys here are {}", known.join(", ")),
    }
}

/// How far the names are from each other. The values of the Go project's chart have camelCase names, some with `Path` at
/// their end (`clientCertificatePath`).
fn distance(plain: &str, name: &str) -> usize {
    let letters = |text: &str| text.replace('_', "");
    let without_path = plain.strip_suffix("path").unwrap_or(plain);
    if letters(without_path) == letters(name) { 0 } else { strsim::damerau_levenshtein(plain, name) }
}
