//! The chart of the README: a bar for each server.

use maud::{Markup, html};

pub struct Bar<'a> {
    pub name: &'a str,
    /// Decisions a second, and how many of the echo's that is.
    pub rate: f64,
    pub of_echo: f64,
}

const WIDTH: f64 = 920.0;
/// Where the bars begin, and how long the longest is.
const LEFT: f64 = 370.0;
const LONGEST: f64 = 410.0;
const ROW: f64 = 30.0;
const TOP: f64 = 36.0;

/// The greys and the blue can be read on white and on black: a picture in a README does not know which of the two the page is.
const STYLE: &str = "text{font:14px -apple-system,BlinkMacSystemFont,'Segoe UI',Helvetica,Arial,sans-serif;fill:#757b84}\
    rect{fill:#8c959f}.ours rect{fill:#2f81f7}.ours text{font-weight:600}";

/// Decisions a second as an SVG on no ground.
pub fn svg(bars: &[Bar]) -> String {
    let height = TOP + ROW * bars.len() as f64;
    let most = bars.iter().map(|bar| bar.rate).fold(1.0, f64::max);
    let drawing = html! {
        svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title" viewBox={ "0 0 " (WIDTH) " " (height) }
            width=(WIDTH) height=(height) {
            title id="title" { "Decisions a second" }
            style { (STYLE) }
            text x=(LEFT) y="20" { "decisions a second (and how many times the echo’s)" }
            @for (row, bar) in bars.iter().enumerate() { (line(TOP + ROW * row as f64, bar, LONGEST * bar.rate / most)) }
        }
    };
    drawing.into_string() + "\n"
}

fn line(top: f64, bar: &Bar, length: f64) -> Markup {
    let base = top + 19.0;
    html! {
        g class=[bar.name.starts_with("Gatepost").then_some("ours")] {
            text x=(LEFT - 10.0) y=(base) text-anchor="end" { (bar.name) }
            rect x=(LEFT) y=(top + 4.0) width=(format!("{:.1}", length.max(1.0))) height=(ROW - 8.0) rx="2" {}
            text x=(format!("{:.1}", LEFT + length.max(1.0) + 8.0)) y=(base) {
                (grouped(bar.rate)) " (" (format!("{:.2}", bar.of_echo)) ")"
            }
        }
    }
}

/// A whole number with a comma before each three digits.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
