//! The names of configuration files, and the formats behind them.

use std::path::Path;

/// The names that are searched in each directory, in this order. JSON is YAML (YAML 1.2, section 1.3).
pub(super) const NAMES: [&str; 3] = ["config.yaml", "config.yml", "config.json"];

/// The endings of the other formats that the Go program reads (spf13/viper 1.8.1, `SupportedExts`).
const OTHERS: [(&str, &str); 9] = [
    ("toml", "TOML"),
    ("properties", "Java properties"),
    ("props", "Java properties"),
    ("prop", "Java properties"),
    ("hcl", "HCL"),
    ("tfvars", "HCL"),
    ("dotenv", "dotenv"),
    ("env", "dotenv"),
    ("ini", "INI"),
];

/// The names of files in these formats, which the Go program finds.
pub(super) fn other_names() -> impl Iterator<Item = String> {
    OTHERS.iter().map(|(ending, _)| format!("config.{ending}"))
}

/// The format of the file, by its name, if it is one of the others.
pub(super) fn other_format(path: &Path) -> Option<&'static str> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    OTHERS.iter().find(|(known, _)| *known == ending).map(|(_, format)| *format)
}
