//! Data sources for DataGrip and the other IDEs of JetBrains: the text that they copy and paste in the Database Explorer
//! (<https://www.jetbrains.com/help/datagrip/managing-data-sources.html>). Each element `data-source` has the form of those in
//! `.idea/dataSources.xml`, with the user in it.

use std::fmt::Write as _;

use super::settings::Settings;
use super::url::jdbc_of_database;

/// The text for the clipboard.
pub(super) fn render(settings: &[Settings]) -> String {
    let mut text = String::from("#DataSourceSettings#\n");
    for settings in settings {
        // Writing to a String cannot fail.
        let _ =
            write!(text, "#LocalDataSource: {}\n#BEGIN#\n{}\n#END#\n\n", settings.name, element(settings));
    }
    text
}

fn element(settings: &Settings) -> String {
    let url = format!("{}?sslmode={}", jdbc_of_database(settings), settings.ssl_mode);
    let user = settings.user.as_deref().map(|user| format!("<user-name>{}</user-name>", escaped(user)));
    format!(
        "<data-source source=\"LOCAL\" name=\"{}\" uuid=\"{}\"><driver-ref>postgresql</driver-ref>\
         <synchronize>true</synchronize><jdbc-driver>org.postgresql.Driver</jdbc-driver><jdbc-url>{}</jdbc-url>{}</data-source>",
        escaped(&settings.name),
        settings.uuid(),
        escaped(&url),
        user.unwrap_or_default()
    )
}

/// Text in an XML element or attribute.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&apos;")
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::odd;
    use super::*;

    #[test]
    fn texts_are_escaped() {
        let text = render(&[odd()]);
        assert!(text.contains("name=\"a:&lt;b&gt;&amp;&quot;c&apos;\" uuid="), "{text}");
        assert!(text.contains("<user-name>u+v@w&amp;x=y</user-name></data-source>\n#END#\n"), "{text}");
        assert!(
            text.contains(
                "<jdbc-url>jdbc:postgresql://[::1]:20001/d%20b%2F%25%27?sslmode=require</jdbc-url>"
            ),
            "{text}"
        );
    }
}
