//! Draws what a terminal shows: `cargo run --example screen -- COLUMNS ROWS TITLE < OUTPUT > PICTURE.svg`.
//!
//! OUTPUT is everything that programs wrote to the terminal. `build/captures.py` calls this.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program for the documentation ends when it cannot go on"
)]

use std::fmt::Write;
use std::io::Read;

use vt100::{Cell, Color, Parser, Screen};

/// Pixels of a character and around the text. The width is that of most fixed fonts at 13 pixels.
const WIDTH: f32 = 7.83;
const HEIGHT: f32 = 18.0;
const EDGE: f32 = 16.0;

const GROUND: &str = "#0d1117";
const TEXT: &str = "#e6edf3";
const DIM: &str = "#8b949e";
/// The eight colours of a terminal, in their bright form.
const COLOURS: [&str; 8] =
    ["#8b949e", "#ff7b72", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#76e3ea", "#f0f6fc"];

/// How characters look.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    colour: &'static str,
    bold: bool,
    italic: bool,
    inverse: bool,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = || arguments.next().and_then(|text| text.parse().ok()).expect("COLUMNS ROWS TITLE");
    let (columns, rows) = (number(), number());
    let title = arguments.next().expect("COLUMNS ROWS TITLE");
    let mut output = Vec::new();
    std::io::stdin().read_to_end(&mut output).expect("standard input");
    let mut parser = Parser::new(rows, columns, 0);
    parser.process(&output);
    println!("{}", picture(parser.screen(), columns, rows, &title));
}

/// The rows up to the last one that has text.
fn picture(screen: &Screen, columns: u16, rows: u16, title: &str) -> String {
    let used = screen.rows(0, columns).enumerate().filter(|(_, text)| !text.is_empty());
    let rows = used.last().map_or(1, |(row, _)| u16::try_from(row + 1).unwrap_or(rows));
    let (width, height) = (f32::from(columns) * WIDTH + 2.0 * EDGE, f32::from(rows) * HEIGHT + 2.0 * EDGE);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>{}</title>\n<rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"{GROUND}\"/>\n\
         <g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"13\">",
        escaped(title)
    );
    for row in 0..rows {
        draw_row(&mut svg, screen, row, columns);
    }
    svg + "\n</g>\n</svg>"
}

fn draw_row(svg: &mut String, screen: &Screen, row: u16, columns: u16) {
    let mut column = 0;
    while column < columns {
        let (start, look) = (column, look(screen.cell(row, column)));
        let mut text = String::new();
        while column < columns && self::look(screen.cell(row, column)) == look {
            let contents = screen.cell(row, column).map(Cell::contents).unwrap_or_default();
            text.push_str(if contents.is_empty() { " " } else { contents });
            column += 1;
        }
        draw_run(svg, row, start, text.as_str(), look);
    }
}

/// Characters of one look, each at its place whatever the font.
fn draw_run(svg: &mut String, row: u16, column: u16, text: &str, look: Look) {
    let (x, y) = (EDGE + f32::from(column) * WIDTH, EDGE + f32::from(row) * HEIGHT);
    let width = WIDTH * f32::from(u16::try_from(text.chars().count()).unwrap_or_default());
    if look.inverse {
        let colour = look.colour;
        write_to(
            svg,
            format_args!(
                "\n<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{HEIGHT}\" fill=\"{colour}\"/>"
            ),
        );
    }
    if text.trim().is_empty() {
        return;
    }
    let colour = if look.inverse { GROUND } else { look.colour };
    let weight = if look.bold { " font-weight=\"bold\"" } else { "" };
    let style = if look.italic { " font-style=\"italic\"" } else { "" };
    let text = text.trim_end();
    let width = WIDTH * f32::from(u16::try_from(text.chars().count()).unwrap_or_default());
    write_to(
        svg,
        format_args!(
            "\n<text x=\"{x}\" y=\"{}\" fill=\"{colour}\"{weight}{style} textLength=\"{width}\" xml:space=\"preserve\">{}</text>",
            y + 13.0,
            escaped(text)
        ),
    );
}

fn write_to(svg: &mut String, text: std::fmt::Arguments<'_>) {
    svg.write_fmt(text).expect("a string takes every text");
}

fn look(cell: Option<&Cell>) -> Look {
    let Some(cell) = cell else { return Look { colour: TEXT, bold: false, italic: false, inverse: false } };
    let colour = match cell.fgcolor() {
        Color::Idx(index) => COLOURS.get(usize::from(index % 8)).copied().unwrap_or(TEXT),
        Color::Default | Color::Rgb(..) if cell.dim() => DIM,
        Color::Default | Color::Rgb(..) => TEXT,
    };
    Look { colour, bold: cell.bold(), italic: cell.italic(), inverse: cell.inverse() }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
