//! How the texts of a store, numbers and decisions are written, in every form.

use crate::engine::{Decision, Outcome};

/// A text in one line.
pub fn line(text: &str) -> String {
    visible(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text as it stands, with those characters made visible that nobody would see, or that would change the order in which the
/// others are read: a reviewer must read what the machine reads.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.replace("\r\n", "\n").chars() {
        if is_hidden(character) {
            shown.push_str(&format!("⟨U+{:04X}⟩", u32::from(character)));
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Control characters, those that set the direction of writing, and those without a width. (Joiners stay: scripts need them.)
fn is_hidden(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}' => true,
        '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}' => true,
        '\u{e0000}'..='\u{e007f}' => true,
        other => other.is_control(),
    }
}

/// A number with its digits in groups of three: `12,345`.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// `1 row`, `2 rows`.
pub fn counted(count: usize, what: &str) -> String {
    let plural = match what.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{what}s"),
    };
    format!("{} {}", grouped(count), if count == 1 { what } else { &plural })
}

/// How a decision came about: the end of the sentence `it is denied …`.
pub fn decided_by(decision: &Decision) -> String {
    let determining: Vec<_> = decision.determining().iter().map(|note| format!("`{}`", note.id)).collect();
    match &decision.outcome {
        Outcome::Evaluated { errors, .. } if !errors.is_empty() => "because a policy could not be evaluated".to_owned(),
        Outcome::Evaluated { .. } if determining.is_empty() => "because nothing permits it".to_owned(),
        Outcome::Evaluated { .. } => format!("by {}", determining.join(", ")),
        Outcome::Missing(_) => "because something is missing that the schema requires".to_owned(),
        Outcome::Unknown(_) => "because the schema does not know it".to_owned(),
        Outcome::Failed(_) => "because it could not be evaluated".to_owned(),
    }
}
