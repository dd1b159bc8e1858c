//! Random texts in Cedar's languages: the tokens of policies and of schemas, and what may stand between them.

use crate::random::Random;

/// The tokens of a text.
pub type Tokens = Vec<String>;

/// A text with comments.
#[derive(Debug)]
pub struct Text {
    pub text: String,
    /// The comments, in their order; each is there once.
    pub comments: Vec<String>,
    /// The strings with line breaks in them.
    pub long_strings: Vec<String>,
}

const NAMES: [&str; 10] = ["a", "owner", "_x9", "principal", "when", "unless", "permit", "kind", "resource", "in_2"];

const STRINGS: [&str; 8] = [
    "\"\"",
    "\"NZ\"",
    "\"a \\\"b\\\" // no comment\"",
    "\"} ; @x( , ]\"",
    "\"ünïcode 猫\\u{1F431}\"",
    "\"over\n\n  lines //\n\"",
    "\"over\r\nlines\"",
    "\"a string that is rather long, so that not very much else fits on its line\"",
];

/// What a comment says behind its number.
const COMMENTS: [&str; 8] =
    ["", " why", " \"", " // again", " } ] ) , ;", " 猫", " permit (principal, action, resource);", " \\\" \\"];

fn put(all: &mut Tokens, text: &str) {
    all.extend(text.split(' ').filter(|token| !token.is_empty()).map(str::to_owned));
}

/// Policies.
pub fn policies(random: &mut Random, count: usize) -> Vec<Tokens> {
    (0..count).map(|_| policy(random)).collect()
}

fn policy(random: &mut Random) -> Tokens {
    let mut all = Tokens::new();
    annotations(random, &mut all);
    put(&mut all, random.pick(&["permit (", "forbid ("]));
    scope(random, "principal", &mut all);
    put(&mut all, ",");
    match random.below(3) {
        0 => put(&mut all, "action"),
        1 => put_entity(random, "action ==", "Action", &mut all),
        _ => {
            put(&mut all, "action in [");
            list(random, 5, &mut all, |random, all| put_entity(random, "", "N :: Action", all));
            put(&mut all, "]");
        }
    }
    put(&mut all, ",");
    scope(random, "resource", &mut all);
    put(&mut all, random.pick(&[")", ")", ", )"]));
    for _ in 0..random.below(3) {
        put(&mut all, random.pick(&["when {", "unless {"]));
        expression(random, 4, &mut all);
        put(&mut all, "}");
    }
    put(&mut all, ";");
    all
}

fn annotations(random: &mut Random, all: &mut Tokens) {
    for key in ["doc", "in", "a_long_key"].into_iter().filter(|_| random.chance(20)).collect::<Vec<_>>() {
        put(all, &format!("@ {key}"));
        if random.chance(80) {
            all.push("(".to_owned());
            all.push(random.pick(&STRINGS).to_owned());
            all.push(")".to_owned());
        }
    }
}

/// Up to so many elements, with or without a comma behind the last.
fn list(random: &mut Random, most: usize, all: &mut Tokens, mut one: impl FnMut(&mut Random, &mut Tokens)) {
    let count = random.below(most + 1);
    for index in 0..count {
        one(random, all);
        if index + 1 < count || random.chance(30) {
            put(all, ",");
        }
    }
}

fn put_entity(random: &mut Random, before: &str, kind: &str, all: &mut Tokens) {
    put(all, &format!("{before} {kind} ::"));
    all.push(random.pick(&STRINGS).to_owned());
}

fn scope(random: &mut Random, variable: &str, all: &mut Tokens) {
    put(all, variable);
    match random.below(8) {
        0 => put_entity(random, "==", "User", all),
        1 => put_entity(random, "in", "N :: Group", all),
        2 => put(all, "is N :: User"),
        3 => put_entity(random, "is N :: AVeryLongNameOfATypeOfEntitiesThatFillsALine in", "Group", all),
        _ => {}
    }
}

fn expression(random: &mut Random, depth: usize, all: &mut Tokens) {
    if depth > 0 && random.chance(10) {
        for word in ["if", "then", "else"] {
            put(all, word);
            expression(random, depth - 1, all);
        }
        return;
    }
    for index in 0..=random.below(if depth > 1 { 4 } else { 1 }) {
        if index > 0 {
            put(all, random.pick(&["&&", "&&", "||"]));
        }
        relation(random, depth.saturating_sub(1), all);
    }
}

fn relation(random: &mut Random, depth: usize, all: &mut Tokens) {
    sum(random, depth, all);
    match random.below(8) {
        0 => put(all, &format!("has {}", random.pick(&["a", "a . when . b", "kind", "action"]))),
        1 => {
            put(all, random.pick(&["has", "like"]));
            all.push(random.pick(&STRINGS).to_owned());
        }
        2 => put(all, "is N :: User"),
        3 => put_entity(random, "is User in", "Group", all),
        4..=6 => {
            put(all, random.pick(&["<", "<=", ">=", ">", "!=", "==", "in"]));
            sum(random, depth, all);
        }
        _ => {}
    }
}

fn sum(random: &mut Random, depth: usize, all: &mut Tokens) {
    let count = if random.chance(20) { random.below(4) } else { 0 };
    for index in 0..=count {
        if index > 0 {
            put(all, random.pick(&["+", "-", "*"]));
        }
        if random.chance(15) {
            put(all, random.pick(&["!", "! !", "-", "- - -"]));
        }
        member(random, depth, all);
    }
}

fn member(random: &mut Random, depth: usize, all: &mut Tokens) {
    operand(random, depth, all);
    for _ in 0..random.below(3) {
        match random.below(if depth == 0 { 2 } else { 5 }) {
            0 | 1 => {
                put(all, &format!(". {}", random.pick(&["a", "owner", "anAttributeWithALongName", "when", "permit"])))
            }
            2 => {
                all.push("[".to_owned());
                all.push(random.pick(&STRINGS[..4]).to_owned());
                all.push("]".to_owned());
            }
            3 => {
                put(all, &format!(". {} (", random.pick(&["contains", "containsAll", "getTag", "isInRange"])));
                expression(random, depth - 1, all);
                put(all, random.pick(&[")", ", )"]));
            }
            _ => put(all, ". isEmpty ( )"),
        }
    }
}

fn operand(random: &mut Random, depth: usize, all: &mut Tokens) {
    match random.below(if depth == 0 { 5 } else { 10 }) {
        0 | 1 => put(all, random.pick(&["principal", "action", "resource", "context"])),
        2 => put(all, random.pick(&["true", "false", "0", "9223372036854775807"])),
        3 => all.push(random.pick(&STRINGS).to_owned()),
        4 => {
            let kind = random.pick(&["User", "A :: B :: C"]);
            put_entity(random, "", kind, all);
        }
        5 => {
            put(all, "(");
            expression(random, depth - 1, all);
            put(all, ")");
        }
        6 => {
            put(all, &format!("{} (", random.pick(&["ip", "decimal", "datetime"])));
            all.push("\"1.0\"".to_owned());
            put(all, ")");
        }
        7 | 8 => {
            put(all, "[");
            list(random, 4, all, |random, all| expression(random, depth - 1, all));
            put(all, "]");
        }
        _ => {
            put(all, "{");
            let mut names = NAMES
                .iter()
                .copied()
                .chain(["\"if\"", "\"two words\""])
                .filter(|_| random.chance(20))
                .collect::<Vec<_>>();
            let count = names.len();
            list(random, count, all, |random, all| {
                all.extend([names.pop().unwrap().to_owned(), ":".to_owned()]);
                expression(random, depth - 1, all);
            });
            put(all, "}");
        }
    }
}

/// Declarations of a schema.
pub fn schema(random: &mut Random, count: usize) -> Vec<Tokens> {
    let mut number = 0;
    (0..count)
        .map(|_| {
            let mut all = Tokens::new();
            if random.chance(30) {
                number += 1;
                annotations(random, &mut all);
                put(&mut all, &format!("namespace N{number} :: {} {{", random.pick(&["M", "namespace", "entity"])));
                (0..random.below(4)).for_each(|_| declaration(random, &mut number, &mut all));
                put(&mut all, "}");
            } else {
                declaration(random, &mut number, &mut all);
            }
            all
        })
        .collect()
}

fn declaration(random: &mut Random, number: &mut usize, all: &mut Tokens) {
    annotations(random, all);
    let mut new = |random: &mut Random| {
        *number += 1;
        format!("{}{number}", random.pick(&["T", "entity", "type", "ANameThatIsRatherLongSoThatLinesFillUp"]))
    };
    match random.below(5) {
        0 => {
            put(all, &format!("type {} =", new(random)));
            kind(random, 3, all);
        }
        1 => {
            put(all, &format!("entity {} enum [", new(random)));
            for index in 0..=random.below(6) {
                put(all, if index > 0 { "," } else { "" });
                all.push(format!("\"value {index}\""));
            }
            put(all, "]");
        }
        2 | 3 => {
            put(all, "entity");
            for index in 0..=random.below(3) {
                put(all, if index > 0 { "," } else { "" });
                put(all, &new(random));
            }
            if random.chance(40) {
                put(
                    all,
                    random.pick(&[
                        "in G",
                        "in [ G , N :: H ]",
                        "in [ ]",
                        "in [ N :: ALongNameOfAGroup , N :: AnotherLongNameOfAGroup ]",
                    ]),
                );
            }
            if random.chance(60) {
                put(all, random.pick(&["", "="]));
                record(random, 3, all);
            }
            if random.chance(30) {
                put(all, "tags");
                kind(random, 2, all);
            }
        }
        _ => action(random, &mut new, all),
    }
    put(all, ";");
}

fn action(random: &mut Random, new: &mut dyn FnMut(&mut Random) -> String, all: &mut Tokens) {
    put(all, "action");
    for index in 0..=random.below(3) {
        put(all, if index > 0 { "," } else { "" });
        let name = new(random);
        all.push(if random.chance(30) { format!("\"the {name}\"") } else { name });
    }
    if random.chance(40) {
        put(all, random.pick(&["in", "in [ read ,", "in [ N :: Action ::"]));
        let is_list = all.last().is_some_and(|last| last != "in");
        all.push("\"write\"".to_owned());
        put(all, if is_list { "]" } else { "" });
    }
    if random.chance(70) {
        put(all, "appliesTo {");
        put(all, random.pick(&["principal : User ,", "principal : [ User , N :: User ] ,"]));
        put(all, random.pick(&["resource : Doc", "resource : [ Doc ]"]));
        if random.chance(60) {
            put(all, ", context :");
            if random.chance(50) { record(random, 2, all) } else { put(all, "N :: Context") }
        }
        put(all, random.pick(&["", ","]));
        put(all, "}");
    }
}

fn kind(random: &mut Random, depth: usize, all: &mut Tokens) {
    match random.below(if depth == 0 { 2 } else { 4 }) {
        0 => put(all, random.pick(&["Long", "String", "Bool", "ipaddr"])),
        1 => put(all, random.pick(&["User", "N :: M :: Type", "tags"])),
        2 => {
            put(all, "Set <");
            kind(random, depth - 1, all);
            put(all, ">");
        }
        _ => record(random, depth - 1, all),
    }
}

fn record(random: &mut Random, depth: usize, all: &mut Tokens) {
    put(all, "{");
    let names = ["\"two words\"", "entity", "tags", "aMemberWithALongName", "a", "b", "Set"];
    let mut names: Vec<_> = names.into_iter().filter(|_| random.chance(40)).collect();
    let count = names.len();
    list(random, count, all, |random, all| {
        annotations(random, all);
        all.push(names.pop().unwrap().to_owned());
        put(all, random.pick(&["", "?"]));
        put(all, ":");
        kind(random, depth, all);
    });
    put(all, "}");
}

/// The same tokens with line breaks, space and comments between them: in so many percent of all places, and so many at a place.
pub fn with_comments(random: &mut Random, statements: &[Tokens], percent: usize, breaks: &[&str]) -> Text {
    let mut text = Text { text: String::new(), comments: Vec::new(), long_strings: Vec::new() };
    for token in statements.iter().flatten() {
        text.gap(random, percent, breaks);
        text.text.push_str(token);
        if token.contains('\n') && !text.long_strings.contains(token) {
            text.long_strings.push(token.clone());
        }
    }
    text.gap(random, percent, breaks);
    text
}

impl Text {
    fn gap(&mut self, random: &mut Random, percent: usize, breaks: &[&str]) {
        self.text.push_str(random.pick(&[" ", " ", "\t", "  "]));
        if random.chance(percent) {
            for _ in 0..=random.below(3) {
                if random.chance(50) {
                    (0..=random.below(3)).for_each(|_| self.text.push_str(random.pick(breaks)));
                    self.text.push_str(random.pick(&["", "    ", "\t"]));
                }
                let comment = format!("// #{}{}", self.comments.len(), random.pick(&COMMENTS));
                self.text.push_str(&comment);
                self.text.push_str(random.pick(&["", "  ", "\t"]));
                self.text.push_str(random.pick(breaks));
                self.comments.push(comment);
            }
        } else if random.chance(20) {
            (0..=random.below(3)).for_each(|_| self.text.push_str(random.pick(breaks)));
        }
    }
}

/// The same tokens with no more than a space between them, and an empty line between two statements.
pub fn plain(statements: &[Tokens]) -> String {
    statements.iter().map(|tokens| tokens.join(" ")).collect::<Vec<_>>().join("\n\n")
}
