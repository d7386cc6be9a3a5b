//! The dashboard, the alerts and docs/operations.md name existing metrics, and all of them.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot read the source ends with a panic"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

const PREFIX: &str = "rds_auth_proxy_";
const DASHBOARD: &str = "build/monitoring/dashboard.json";
const ALERTS: &str = "build/monitoring/alerts.yaml";
const ALERTS_TEST: &str = "build/monitoring/alerts-test.yaml";
const PAGE: &str = "docs/operations.md";
const RUNBOOK: &str = "docs/guides/runbook.md";

/// Metrics of Prometheus itself and of every process.
const STANDARD: [&str; 2] = ["up{", "process_"];

/// The suffixes of a histogram's series in Prometheus.
const SUFFIXES: [&str; 3] = ["_bucket", "_sum", "_count"];

#[test]
fn named_metrics_exist() {
    let known = metrics_of_the_source();
    assert!(known.len() > 10, "{known:?}");
    for file in [DASHBOARD, ALERTS, ALERTS_TEST, PAGE, RUNBOOK] {
        let used = names(&fs::read_to_string(file).unwrap());
        assert!(!used.is_empty(), "{file} names no metric");
        let unknown: Vec<_> = used.iter().filter(|name| !known.contains(base(name, &known))).collect();
        assert!(unknown.is_empty(), "{file} names metrics that the program does not have: {unknown:?}");
    }
}

#[test]
fn every_metric_is_documented_and_on_the_dashboard() {
    let known = metrics_of_the_source();
    for file in [PAGE, DASHBOARD] {
        let text = fs::read_to_string(file).unwrap();
        let used: BTreeSet<_> = names(&text).iter().map(|name| base(name, &known).to_owned()).collect();
        let missing: Vec<_> = known.difference(&used).collect();
        assert!(missing.is_empty(), "{file} does not name {missing:?}");
    }
}

#[test]
fn every_reason_and_outcome_is_documented() {
    let page = fs::read_to_string(PAGE).unwrap();
    let words = [
        body("src/session/reason.rs", "\nreasons! {"),
        body("src/session/audit.rs", "fn ended_by("),
        body("src/session/fault.rs", "pub fn name("),
        body("src/kubernetes/error.rs", "pub(super) fn outcome("),
        body("src/aws/discovery/metrics.rs", "pub(super) fn label("),
    ];
    let words: BTreeSet<_> = words.iter().flat_map(|body| quoted(body)).collect();
    for expected in ["hop_tls", "vanished", "database", "not_ready", "aws_error"] {
        assert!(words.contains(expected), "{expected} was not found in the source: {words:?}");
    }
    let missing: Vec<_> = words.iter().filter(|word| !page.contains(&format!("`{word}`"))).collect();
    assert!(missing.is_empty(), "{PAGE} does not explain {missing:?}");
}

#[test]
fn alerts_use_existing_reasons() {
    let source = body("src/session/reason.rs", "\nreasons! {");
    let reasons: BTreeSet<_> = quoted(&source).into_iter().collect();
    let text = fs::read_to_string(ALERTS).unwrap();
    let used: Vec<_> = text
        .split("reason")
        .skip(1)
        .filter_map(|rest| rest.trim_start_matches(['=', '!', '~']).strip_prefix('"'))
        .filter_map(|rest| rest.split_once('"'))
        .flat_map(|(values, _)| values.split('|'))
        .collect();
    assert!(used.contains(&"login_refused"), "{used:?}");
    for reason in used {
        assert!(reasons.contains(reason), "{ALERTS} uses the unknown reason {reason}");
    }
}

#[test]
fn every_alert_is_complete_documented_and_tested() {
    let alerts: Value = serde_yaml::from_str(&fs::read_to_string(ALERTS).unwrap()).unwrap();
    let (page, tests) = (fs::read_to_string(PAGE).unwrap(), fs::read_to_string(ALERTS_TEST).unwrap());
    let runbook = fs::read_to_string(RUNBOOK).unwrap();
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.len() > 5);
    for rule in rules {
        let name = rule["alert"].as_str().unwrap();
        // `up` is Prometheus' own.
        let queries = rule["expr"].as_str().unwrap();
        assert!(!names(queries).is_empty() || queries.starts_with("up{"), "{name} queries no metric");
        assert!(rule["labels"]["severity"].is_string(), "{name} has no severity");
        for part in ["summary", "description"] {
            assert!(rule["annotations"][part].is_string(), "{name} has no {part}");
        }
        assert!(page.contains(&format!("`{name}`")), "{PAGE} does not explain {name}");
        let entry = runbook.split("\n### ").find_map(|entry| entry.strip_prefix(&format!("`{name}`\n")));
        let entry = entry.unwrap_or_else(|| panic!("{RUNBOOK} has no entry for {name}"));
        for part in ["\n| means | ", "\n| look at | ", "\n| do | "] {
            assert!(entry.contains(part), "{RUNBOOK}: {name} has no line {part}");
        }
        assert!(tests.contains(&format!("\"{name}\"")), "{ALERTS_TEST} does not test {name}");
    }
}

#[test]
fn panels_have_unique_ids_and_query_metrics() {
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(DASHBOARD).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    for panel in panels {
        for query in queries(panel) {
            assert!(!names(query).is_empty() || STANDARD.iter().any(|name| query.contains(name)), "{query}");
        }
    }
}

#[test]
fn every_alert_has_a_panel_that_queries_its_metrics() {
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(DASHBOARD).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let alerts: Value = serde_yaml::from_str(&fs::read_to_string(ALERTS).unwrap()).unwrap();
    for rule in alerts["groups"][0]["rules"].as_array().unwrap() {
        let name = rule["alert"].as_str().unwrap();
        let of_alert = |panel: &&Value| {
            let description = panel["description"].as_str().unwrap_or_default();
            let words = description.split(|letter: char| !letter.is_alphanumeric());
            words.clone().any(|word| word == name) && description.contains("Alert")
        };
        let panel = panels.iter().find(of_alert).unwrap_or_else(|| panic!("no panel names {name}"));
        let shown = queries(panel).join("\n");
        let expression = rule["expr"].as_str().unwrap();
        for metric in names(expression) {
            assert!(names(&shown).contains(&metric), "{}: {name} needs {metric}", panel["title"]);
        }
        assert!(!expression.starts_with("up{") || shown.starts_with("up{"), "{name}");
    }
}

#[test]
fn the_targets_to_choose_are_those_of_every_metric() {
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(DASHBOARD).unwrap()).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let target = variables.iter().find(|variable| variable["name"] == "target").unwrap();
    let query = r#"label_values({__name__=~"rds_auth_proxy_.+", instance=~"$instance", target!=""}, target)"#;
    assert_eq!((&target["query"]["query"], &target["definition"]), (&query.into(), &query.into()));
}

/// The queries of a panel.
fn queries(panel: &Value) -> Vec<&str> {
    panel["targets"].as_array().unwrap().iter().map(|target| target["expr"].as_str().unwrap()).collect()
}

/// The metric names in the source.
fn metrics_of_the_source() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(Path::new("src"), &mut found);
    found
}

fn collect(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            // The quotation mark before the name excludes the crate's name, which has the same prefix.
            let quoted = text.split('"').skip(1).filter(|word| word.starts_with(PREFIX));
            found.extend(quoted.flat_map(names));
        }
    }
}

/// Every metric name in a text.
fn names(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices(PREFIX).map(|(at, _)| &text[at..]);
    let name = |rest: &str| -> String {
        rest.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '_').collect()
    };
    starts.map(name).filter(|name| name.len() > PREFIX.len()).collect()
}

/// The name of a metric in the source, without the suffix of a histogram's series.
fn base<'a>(name: &'a str, known: &BTreeSet<String>) -> &'a str {
    let histogram = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix));
    histogram.filter(|histogram| known.contains(*histogram)).unwrap_or(name)
}

/// The body of a function up to its closing brace.
fn body(file: &str, start: &str) -> String {
    let text = fs::read_to_string(file).unwrap();
    let from = &text[text.find(start).unwrap_or_else(|| panic!("{file} has no {start}"))..];
    let lines = from.lines().skip(1).take_while(|line| !matches!(*line, "}" | "    }"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Every word in quotation marks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('"').skip(1).step_by(2).collect()
}
