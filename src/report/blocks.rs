//! A plain document of headings, lists, tables and code, written for a terminal or as Markdown.

use comfy_table::ContentArrangement;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use super::markdown::{code, fenced, grid, inline};
use super::shown;

/// A part of a document.
#[derive(Clone, Debug)]
pub enum Block {
    /// The title of the document.
    Title(Line),
    /// The heading of a section.
    Heading(Line),
    /// A paragraph.
    Paragraph(Line),
    /// A list.
    List(Vec<Line>),
    /// A table: its header, and its rows.
    Table(Vec<Line>, Vec<Vec<Line>>),
    /// Text that stands as it is, in that language.
    Code(&'static str, String),
    /// The same, which Markdown shows only to those who open it: what it is, the language, the text.
    Folded(&'static str, &'static str, String),
}

/// A run of text in which some is code.
#[derive(Clone, Debug, Default)]
pub struct Line(Vec<Span>);

#[derive(Clone, Debug)]
enum Span {
    Text(String),
    Code(String),
}

impl Line {
    /// A line of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::default().and_text(text)
    }

    /// A line of code.
    pub fn code(code: impl Into<String>) -> Self {
        Self::default().and_code(code)
    }

    /// A line in which what stands between backticks is code.
    pub fn marked(marked: &str) -> Self {
        let spans = marked.split('`').enumerate().map(|(number, span)| match number % 2 {
            0 => Span::Text(span.to_owned()),
            _ => Span::Code(span.to_owned()),
        });
        Self(spans.collect())
    }

    /// With text after it.
    #[must_use]
    pub fn and_text(mut self, text: impl Into<String>) -> Self {
        self.0.push(Span::Text(text.into()));
        self
    }

    /// With code after it.
    #[must_use]
    pub fn and_code(mut self, code: impl Into<String>) -> Self {
        self.0.push(Span::Code(code.into()));
        self
    }

    fn plain(&self) -> String {
        let spans = self.0.iter().map(|span| match span {
            Span::Text(text) => visible(text),
            Span::Code(code) => format!("`{}`", visible(code)),
        });
        spans.collect()
    }

    fn markdown(&self) -> String {
        let spans = self.0.iter().map(|span| match span {
            Span::Text(text) => inline(&visible(text)),
            Span::Code(text) => code(&visible(text)),
        });
        spans.collect()
    }
}

/// A text whose every character can be seen, in one line; the spaces at its ends join it to what stands beside it.
fn visible(text: &str) -> String {
    shown::visible(text).replace('\n', " ")
}

/// The document for a terminal, lines of tables at most `width` characters wide.
pub fn as_text(blocks: &[Block], width: u16) -> String {
    let blocks = blocks.iter().map(|block| match block {
        Block::Title(line) | Block::Paragraph(line) => format!("{}\n", line.plain()),
        Block::Heading(line) => {
            let line = line.plain();
            format!("{line}\n{}\n", "─".repeat(line.chars().count()))
        }
        Block::List(lines) => lines.iter().map(|line| format!("  {}\n", line.plain())).collect(),
        Block::Table(header, rows) => {
            let mut table = comfy_table::Table::new();
            table
                .load_preset(UTF8_FULL_CONDENSED)
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width);
            table.set_header(header.iter().map(Line::plain));
            for row in rows {
                table.add_row(row.iter().map(Line::plain));
            }
            format!("{}\n", table.trim_fmt())
        }
        Block::Code(_, code) | Block::Folded(_, _, code) => {
            shown::visible(code).lines().map(|line| format!("    {line}\n")).collect()
        }
    });
    blocks.collect::<Vec<String>>().join("\n")
}

/// The document as Markdown (GitHub's, which has tables).
pub fn as_markdown(blocks: &[Block]) -> String {
    let blocks = blocks.iter().map(|block| match block {
        Block::Title(line) => format!("## {}\n", line.markdown()),
        Block::Heading(line) => format!("### {}\n", line.markdown()),
        Block::Paragraph(line) => format!("{}\n", line.markdown()),
        Block::List(lines) => lines.iter().map(|line| format!("- {}\n", line.markdown())).collect(),
        Block::Table(header, rows) => {
            let titles: Vec<String> = header.iter().map(Line::markdown).collect();
            let cells = |row: &Vec<Line>| row.iter().map(Line::markdown).collect::<Vec<_>>();
            grid(titles.iter().map(String::as_str), rows.iter().map(cells))
        }
        Block::Code(language, code) => fenced(language, &shown::visible(code)),
        Block::Folded(what, language, code) => {
            format!("<details><summary>{what}</summary>\n\n{}</details>\n", fenced(language, &shown::visible(code)))
        }
    });
    let blocks: Vec<String> = blocks.map(|block| format!("{}\n", block.trim_end())).collect();
    blocks.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "Markdown (to be pasted into a review as it is)"
    #[test]
    fn nothing_that_a_store_says_is_taken_for_markdown() {
        let hostile = "<b>*a*</b> | `b` [c](d)";
        let blocks = [
            Block::Heading(Line::text(hostile)),
            Block::List(vec![Line::code("a`b``c").and_text(" #1")]),
            Block::Table(vec![Line::text("x|y")], vec![vec![Line::code("a|b")]]),
            Block::Code("cedar", "```\nx".to_owned()),
        ];
        let expected = "### &lt;b&gt;\\*a\\*&lt;/b&gt; \\| \\`b\\` \\[c\\](d)\n\n- ```a`b``c``` #<!-- -->1\n\n| x\\|y |\n| --- |\n| `a\\|b` |\n\n````cedar\n```\nx\n````\n";
        assert_eq!(as_markdown(&blocks), expected);
    }
}
