//! A log line as one flat JSON object.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::SystemTime;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::shorten::{shorten, shorten_text};
use crate::process::sanitize::is_control;

/// Names that every line has; a field of the same name is left out. The source of a line is its `module`, because a
/// `target` is a database in this program.
const OWN: [&str; 4] = ["timestamp", "level", "message", "module"];

/// Writes `timestamp`, `level`, `message`, then the fields of the event and of the spans around it (the inner one
/// wins), then `module`.
pub(super) struct Json;

impl<S> FormatEvent<S, JsonFields> for Json
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut writer = Escaped(&mut line);
        let mut fields = Fields::default();
        event.record(&mut fields);
        add_spans(context, &mut fields);
        let mut fields = fields.0;
        let message = fields.remove("message").unwrap_or_else(|| Value::from(""));
        // Lines of the crate `log` carry their source in these fields.
        let module = fields.remove("log.target");
        fields.retain(|name, _| !name.starts_with("log.") && !OWN.contains(&name.as_str()));
        let metadata = event.metadata();
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        write!(
            writer,
            "{{\"timestamp\":\"{time}\",\"level\":\"{}\",\"message\":{message}",
            metadata.level()
        )?;
        for (name, value) in fields {
            write!(writer, ",{}:{value}", Value::from(name))?;
        }
        write!(writer, ",\"module\":{}}}", module.unwrap_or_else(|| Value::from(metadata.target())))?;
        writeln!(line)
    }
}

fn add_spans<S>(context: &FmtContext<'_, S, JsonFields>, fields: &mut Fields)
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    let Some(scope) = context.event_scope() else { return };
    for span in scope {
        let extensions = span.extensions();
        let Some(text) = extensions.get::<FormattedFields<JsonFields>>() else { continue };
        let outer: Map<String, Value> = serde_json::from_str(&text.fields).unwrap_or_default();
        for (name, value) in outer.into_iter().filter(|(name, _)| name != "message") {
            let value = value.as_str().map_or_else(|| value.clone(), |text| Value::from(shorten_text(text)));
            fields.0.entry(name).or_insert(value);
        }
    }
}

/// Escapes, as four hexadecimal digits, the characters that JSON allows and a terminal executes: people read logs there.
struct Escaped<'a, 'b>(&'a mut Writer<'b>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !text.contains(is_control) {
            return self.0.write_str(text);
        }
        for character in text.chars() {
            if is_control(character) {
                write!(self.0, "\\u{:04x}", u32::from(character))?;
            } else {
                self.0.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// The fields of an event, by name.
#[derive(Default)]
struct Fields(BTreeMap<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        let name = field.name();
        self.0.insert(name.strip_prefix("r#").unwrap_or(name).to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, shorten(field, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, shorten(field, &format!("{value:?}")));
    }
}
