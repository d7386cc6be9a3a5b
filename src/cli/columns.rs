//! Tables for a terminal.

use unicode_width::UnicodeWidthStr;

use crate::process::Style;

/// Between two columns.
const GAP: &str = "  ";

/// Titles and rows in aligned columns, a line for each row. Nothing is cut: names are to be copied.
pub(super) fn aligned(titles: &[&str], rows: &[Vec<String>], style: Style) -> String {
    let mut widths: Vec<_> = titles.iter().map(|title| title.width()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let line = |row: &mut dyn Iterator<Item = &str>| {
        let cells = row.zip(&widths).map(|(cell, width)| {
            let padding = width.saturating_sub(cell.width());
            format!("{cell}{:padding$}", "")
        });
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    };
    let mut text = style.bold(&line(&mut titles.iter().copied())) + "\n";
    for row in rows {
        text += &line(&mut row.iter().map(String::as_str));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["orders", "数据库", "x"]), row(["a-very-long-name", "b", ""])];
        let text = aligned(&["NAME", "DATABASE", "END"], &rows, Style { coloured: false });
        assert_eq!(
            text,
            "NAME              DATABASE  END\norders            数据库    x\na-very-long-name  b\n"
        );
    }
}
