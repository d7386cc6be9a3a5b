//! Names as people type them.

/// The entries with this name. If there is none, those whose names differ from it only in case: the Go program lower-cases the
/// names of its configuration, and RDS its identifiers.
pub fn named<'a, T>(
    entries: impl Iterator<Item = &'a T> + Clone,
    wanted: &str,
    name: impl Fn(&T) -> &str,
) -> Vec<&'a T> {
    let exact: Vec<_> = entries.clone().filter(|entry| name(entry) == wanted).collect();
    if exact.is_empty() { entries.filter(|entry| is_same(name(entry), wanted)).collect() } else { exact }
}

/// [`named`]; without such an entry those with it as their identifier.
pub(super) fn named_or_identified<'a, T>(
    entries: impl Iterator<Item = &'a T> + Clone,
    wanted: &str,
    name: impl Fn(&T) -> &str,
    identifier: impl Fn(&T) -> Option<&str>,
) -> Vec<&'a T> {
    let found = named(entries.clone(), wanted, name);
    if !found.is_empty() {
        return found;
    }
    let with_one: Vec<_> = entries.filter(|entry| identifier(entry).is_some()).collect();
    named(with_one.iter().copied(), wanted, |entry| identifier(entry).unwrap_or_default())
}

/// Whether two names differ in case at most.
pub(super) fn is_same(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}

/// Why names that differ only in case are an error: `"A" and "a" differ only in case; use the exact name`. Absent if all names
/// are one.
#[must_use]
pub fn only_case_differs<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut names: Vec<_> = names.map(|name| format!("\"{name}\"")).collect();
    names.sort();
    names.dedup();
    (names.len() > 1).then(|| format!("{} differ only in case; use the exact name", names.join(" and ")))
}

/// From this similarity on, between 0 and 1, a name counts as a misspelling of another.
const SIMILAR: f64 = 0.6;

/// The weight of a similar beginning against a similar whole name.
const BEGINNING: f64 = 0.9;

/// The names that a misspelt name or pattern may stand for: the most similar first, at most `count`. A long name may also begin
/// with what was typed.
pub fn nearest<'a>(names: impl Iterator<Item = &'a str>, wanted: &str, count: usize) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase().replace(['*', '?'], "");
    let similarity = |name: &str| {
        let name = name.to_lowercase();
        let beginning: String = name.chars().take(wanted.chars().count()).collect();
        let whole = strsim::normalized_damerau_levenshtein(&name, &wanted);
        // Whoever leaves out the account means the name behind it.
        let behind = name.split_once('/').map_or("", |(_, behind)| behind);
        let behind = BEGINNING * strsim::normalized_damerau_levenshtein(behind, &wanted);
        whole.max(behind).max(BEGINNING * strsim::normalized_damerau_levenshtein(&beginning, &wanted))
    };
    let mut near: Vec<_> = names.map(|name| (similarity(name), name)).collect();
    near.retain(|(similarity, _)| *similarity >= SIMILAR);
    near.sort_by(|left, right| right.0.total_cmp(&left.0));
    near.into_iter().take(count).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_name_comes_before_those_in_another_case() {
        let names = ["Orders".to_owned(), "orders".to_owned(), "Ünder".to_owned()];
        let find = |wanted| named(names.iter(), wanted, |name| name);
        assert_eq!(find("orders"), ["orders"]);
        assert_eq!(find("ORDERS"), ["Orders", "orders"]);
        assert_eq!(find("ünder"), ["Ünder"]);
        assert!(find("order").is_empty());
        let text = only_case_differs(find("ORDERS").into_iter().map(String::as_str)).unwrap();
        assert_eq!(text, "\"Orders\" and \"orders\" differ only in case; use the exact name");
        assert_eq!(only_case_differs(["db", "db"].into_iter()), None);
    }

    #[test]
    fn the_nearest_name_comes_first() {
        let names = ["orders-db-replica", "orders-db", "people"];
        let find = |wanted| nearest(names.into_iter(), wanted, 2);
        assert_eq!(find("odrers-db"), ["orders-db", "orders-db-replica"]);
        assert_eq!(find("Ordesr*"), ["orders-db-replica", "orders-db"]);
        assert_eq!(find("poeple?"), ["people"]);
        assert!(find("zzz").is_empty());
        assert_eq!(nearest(["dev/people", "prod/orders-db"].into_iter(), "orders-db", 2), ["prod/orders-db"]);
        assert_eq!(nearest(names.into_iter(), "orders-db", 1), ["orders-db"]);
    }
}
