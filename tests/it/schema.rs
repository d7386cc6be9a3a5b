//! Checks JSON against a schema of `docs/schemas`. It knows the keywords that those use, and panics for another one.

use serde_json::Value;

/// Panics if the document does not match the schema of this name, or has a text that the pattern of its schema does not describe.
pub(crate) fn check(name: &str, document: &Value) {
    let path = format!("docs/schemas/{name}.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    if let Err(problem) = matches(&schema, document, "$") {
        panic!("{path}: {problem} in {document}");
    }
}

fn matches(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    for (keyword, rule) in schema.as_object().unwrap() {
        let fits = match keyword.as_str() {
            "$schema" | "title" | "description" => true,
            "type" => of_type(rule, value),
            "enum" => rule.as_array().unwrap().contains(value),
            "pattern" => value.as_str().is_none_or(|text| has_form(text, rule.as_str().unwrap())),
            "minimum" => value.as_u64().is_none_or(|number| number >= rule.as_u64().unwrap()),
            "maximum" => value.as_u64().is_none_or(|number| number <= rule.as_u64().unwrap()),
            "required" => {
                rule.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some())
            }
            "properties" => {
                for (key, schema) in rule.as_object().unwrap() {
                    if let Some(field) = value.get(key) {
                        matches(schema, field, &format!("{at}.{key}"))?;
                    }
                }
                // A schema allows fields of later versions; this version has none that it does not describe.
                let known = rule.as_object().unwrap();
                value.as_object().is_none_or(|fields| fields.keys().all(|key| known.contains_key(key)))
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    matches(rule, item, &format!("{at}[{index}]"))?;
                }
                true
            }
            other => panic!("the check does not know `{other}`"),
        };
        if !fits {
            return Err(format!("{at} breaks `{keyword}`: {rule}"));
        }
    }
    Ok(())
}

/// A type, or one of a list.
fn of_type(rule: &Value, value: &Value) -> bool {
    let names = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
    names.iter().any(|name| match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "null" => value.is_null(),
        other => panic!("the check does not know the type `{other}`"),
    })
}

/// The patterns of the schemas, which consist of classes of digits with a count, `.+`, and characters that stand for themselves.
fn has_form(text: &str, pattern: &str) -> bool {
    let mut rest = text;
    let mut pattern = pattern.strip_prefix('^').unwrap().strip_suffix('$').unwrap();
    while !pattern.is_empty() {
        if let Some(behind) = pattern.strip_prefix("[0-9]") {
            let count = behind.strip_prefix('{').and_then(|count| count.split_once('}'));
            let (most, behind) = match count {
                Some((count, behind)) => (count.parse().unwrap(), behind),
                None => (usize::MAX, behind.strip_prefix('+').unwrap()),
            };
            let digits = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
            if digits == 0 || (most != usize::MAX && digits != most) {
                return false;
            }
            (rest, pattern) = (&rest[digits..], behind);
        } else if let Some(behind) = pattern.strip_prefix(".+") {
            // The last character class of a pattern is behind it.
            let Some(end) = rest.rfind(behind.chars().next().unwrap()) else { return false };
            if end == 0 {
                return false;
            }
            (rest, pattern) = (&rest[end..], behind);
        } else {
            let letter = pattern.chars().next().unwrap();
            let Some(behind) = rest.strip_prefix(letter) else { return false };
            (rest, pattern) = (behind, &pattern[letter.len_utf8()..]);
        }
    }
    rest.is_empty()
}

#[test]
fn the_check_finds_what_is_wrong() {
    let valid = serde_json::json!({"token": "h:1/?x", "expires": "2026-01-31T12:00:00Z"});
    check("token", &valid);
    for (key, value) in [
        ("expires", serde_json::json!("2026-01-31T12:00:00.5Z")),
        ("expires", serde_json::json!("2026-1-31T12:00:00Z")),
        ("token", serde_json::json!(5)),
        ("more", serde_json::json!("x")),
    ] {
        let mut document = valid.clone();
        document[key] = value;
        let found = std::panic::catch_unwind(|| check("token", &document));
        assert!(found.is_err(), "{document}");
    }
}
