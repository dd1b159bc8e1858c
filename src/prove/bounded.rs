//! A solver that is asked only about what requests can say: of the points in time that Cedar knows, those that a string can write.
//!
//! To Cedar's encoder, a datetime is any number of 64 bits. So it finds counterexamples in years that no request can name, and leaves
//! rows undecided that hold for every request. Here each question is read as it goes to the solver, and beside it is asserted, of each
//! value that is read from the request or from an entity (and of no value that is computed from such), that it lies within
//! [`EARLIEST`] and [`LATEST`]. What is asserted is true of every request that can be sent, so it proves nothing that is not so.

use std::collections::{HashMap, HashSet};

use cedar_policy_symcc::SmtLibScript as _;
use cedar_policy_symcc::solver::{Decision, DecisionWithModel, LocalSolver, Solver, SolverError};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

/// The earliest point in time that a request can say, in milliseconds since 1970: `0000-01-01T00:00:00.000+2359`.
pub(super) const EARLIEST: i64 = -62_167_305_540_000;

/// The latest: `9999-12-31T23:59:59.999-2359`.
pub(super) const LATEST: i64 = 253_402_387_139_999;

/// A solver, and the question that is being written to it.
pub(super) struct Bounded {
    solver: LocalSolver,
    question: Vec<u8>,
}

impl Bounded {
    pub(super) fn new(solver: LocalSolver) -> Self {
        Self { solver, question: Vec::new() }
    }

    /// Puts the whole question, and what bounds it.
    async fn put(&mut self) -> Result<(), SolverError> {
        let question = String::from_utf8(std::mem::take(&mut self.question)).map_err(|_| unreadable())?;
        let question = without_comments(&question);
        let bounds = bounds(&question).ok_or_else(unreadable)?;
        let input = self.solver.smtlib_input();
        input.write_all(question.as_bytes()).await?;
        input.write_all(bounds.as_bytes()).await?;
        Ok(())
    }
}

fn unreadable() -> SolverError {
    SolverError::Solver("the question is written in another way than is known".to_owned())
}

impl Solver for Bounded {
    fn smtlib_input(&mut self) -> &mut (dyn AsyncWrite + Unpin + Send) {
        &mut self.question
    }

    async fn enable_models(&mut self) -> Result<(), SolverError> {
        Ok(self.question.set_option("produce-models", "true").await?)
    }

    async fn check_sat(&mut self) -> Result<Decision, SolverError> {
        self.put().await?;
        self.solver.check_sat().await
    }

    async fn check_sat_with_model(&mut self) -> Result<DecisionWithModel, SolverError> {
        self.put().await?;
        self.solver.check_sat_with_model().await
    }
}

/// The question without its comments, in which names of the schema stand: one with a carriage return in it would end the comment, and
/// what follows would be part of the question.
fn without_comments(question: &str) -> String {
    let mut kept = String::with_capacity(question.len());
    let (mut in_string, mut in_comment) = (false, false);
    for character in question.chars() {
        match character {
            '\n' => in_comment = false,
            '"' if !in_comment => in_string = !in_string,
            ';' if !in_string => in_comment = true,
            _ => {}
        }
        if !in_comment {
            kept.push(character);
        }
    }
    kept
}

/// What is asserted beside the question; `None` where it cannot be read.
fn bounds(question: &str) -> Option<String> {
    if !question.contains("(declare-datatype Datetime ") {
        return Some(String::new());
    }
    let mut script = Script::default();
    let mut rest = question;
    while let Some((command, left)) = Expression::read(rest.trim_start())? {
        script.note(command)?;
        rest = left;
    }
    Some(script.assertions())
}

/// An expression of SMT-LIB.
#[derive(Clone, Debug, PartialEq)]
enum Expression<'q> {
    Word(&'q str),
    List(Vec<Self>),
}

impl<'q> Expression<'q> {
    /// The first expression of a text, and what follows it; nothing at the end of the text, and `None` where there is neither.
    fn read(text: &'q str) -> Option<Option<(Self, &'q str)>> {
        let mut open: Vec<Vec<Self>> = Vec::new();
        let mut rest = text.trim_start();
        loop {
            let Some(first) = rest.chars().next() else { return open.is_empty().then_some(None) };
            let done = match first {
                '(' => {
                    open.push(Vec::new());
                    rest = rest.get(1..)?;
                    None
                }
                ')' => {
                    rest = rest.get(1..)?;
                    Some(Self::List(open.pop()?))
                }
                _ => {
                    let end = word_end(rest)?;
                    let word = rest.get(..end)?;
                    rest = rest.get(end..)?;
                    Some(Self::Word(word))
                }
            };
            rest = rest.trim_start();
            if let Some(done) = done {
                match open.last_mut() {
                    Some(list) => list.push(done),
                    None => return Some(Some((done, rest))),
                }
            }
        }
    }

    fn word(&self) -> Option<&'q str> {
        match self {
            Self::Word(word) => Some(word),
            Self::List(_) => None,
        }
    }

    fn list(&self) -> Option<&[Self]> {
        match self {
            Self::Word(_) => None,
            Self::List(list) => Some(list),
        }
    }
}

/// Where the word ends with which a text begins; a string ends where a single quotation mark stands.
fn word_end(text: &str) -> Option<usize> {
    let Some(inner) = text.strip_prefix('"') else {
        let ends = |character: char| character.is_ascii_whitespace() || matches!(character, '(' | ')' | '"');
        return Some(text.find(ends).unwrap_or(text.len()));
    };
    let mut from = 0;
    loop {
        let mark = from + inner.get(from..)?.find('"')?;
        match inner.get(mark + 1..)?.starts_with('"') {
            true => from = mark + 2,
            false => return Some(mark + 2),
        }
    }
}

/// What a question declares.
#[derive(Default)]
struct Script<'q> {
    /// Of each record type, its fields and their types.
    records: HashMap<&'q str, Vec<(&'q str, Expression<'q>)>>,
    /// What gives a field of a record.
    selectors: HashSet<&'q str>,
    /// Of each function, the type of what it gives.
    functions: HashMap<&'q str, Expression<'q>>,
    /// The type of each term.
    terms: HashMap<&'q str, Expression<'q>>,
    /// The terms that stand for what the request or an entity says, in their order.
    said: Vec<&'q str>,
    is_said: HashSet<&'q str>,
    /// What may be an element of a set.
    elements: Vec<&'q str>,
}

impl<'q> Script<'q> {
    /// Notes what a command declares; `None` where it is none that is known.
    fn note(&mut self, command: Expression<'q>) -> Option<()> {
        let command = command.list()?.to_vec();
        match (command.first()?.word()?, command.get(1..)?) {
            ("declare-datatype", [name, constructors]) => self.datatype(name.word()?, constructors.list()?),
            ("declare-const", [name, of]) => {
                self.terms.insert(name.word()?, of.clone());
                self.say(name.word()?);
                Some(())
            }
            ("declare-fun", [name, _, of]) => {
                self.functions.insert(name.word()?, of.clone());
                Some(())
            }
            ("define-fun", [name, arguments, of, value]) if arguments.list()?.is_empty() => {
                self.define(name.word()?, of, value);
                Some(())
            }
            ("reset" | "set-option" | "set-logic" | "assert", _) => Some(()),
            _ => None,
        }
    }

    /// Of a type with one constructor and several, its fields; what Cedar's own types are made of is of no interest.
    fn datatype(&mut self, name: &'q str, constructors: &[Expression<'q>]) -> Option<()> {
        // `(par (X) …)`: an option.
        let is_generic = constructors.first().and_then(Expression::word) == Some("par");
        let [Expression::List(only)] = constructors else { return Some(()) };
        if is_generic || CEDARS_OWN.contains(&name) {
            return Some(());
        }
        let fields = only.get(1..)?.iter().map(|field| match field.list()? {
            [selector, of] => Some((selector.word()?, of.clone())),
            _ => None,
        });
        let fields: Vec<_> = fields.collect::<Option<_>>()?;
        self.selectors.extend(fields.iter().map(|(selector, _)| *selector));
        self.records.insert(name, fields);
        Some(())
    }

    fn define(&mut self, name: &'q str, of: &Expression<'q>, value: &Expression<'q>) {
        self.terms.insert(name, of.clone());
        let Expression::List(parts) = value else { return };
        match parts.as_slice() {
            [Expression::Word(function), _] if self.functions.contains_key(function) => self.say(name),
            [Expression::Word(selector), Expression::Word(holder)]
                if (*selector == "val" || self.selectors.contains(selector)) && self.is_said.contains(holder) =>
            {
                self.say(name);
            }
            [Expression::Word("set.member"), Expression::Word(element), _] => self.elements.push(element),
            // The last is the set into which the others are put.
            [Expression::Word("set.insert"), elements @ .., _] => {
                self.elements.extend(elements.iter().filter_map(Expression::word));
            }
            _ => {}
        }
    }

    fn say(&mut self, term: &'q str) {
        self.said.push(term);
        self.is_said.insert(term);
    }

    fn assertions(&self) -> String {
        let mut assertions = String::new();
        for said in &self.said {
            let Some(of) = self.terms.get(said) else { continue };
            let bound = self.bound(of, said).into_iter();
            for bound in bound.chain(self.of_elements(of, said)) {
                assertions.push_str(&format!("(assert {bound})\n"));
            }
        }
        assertions
    }

    /// What holds of a term of that type; nothing where no time is in it.
    fn bound(&self, of: &Expression<'q>, term: &str) -> Option<String> {
        match of {
            Expression::Word("Datetime") => {
                let (earliest, latest) = (EARLIEST.cast_unsigned(), LATEST.cast_unsigned());
                let value = format!("(datetimeVal {term})");
                Some(format!("(and (bvsle (_ bv{earliest} 64) {value}) (bvsle {value} (_ bv{latest} 64)))"))
            }
            Expression::Word(name) => {
                let fields = self.records.get(name)?.iter();
                let fields: Vec<String> =
                    fields.filter_map(|(selector, of)| self.bound(of, &format!("({selector} {term})"))).collect();
                (!fields.is_empty()).then(|| format!("(and true {})", fields.join(" ")))
            }
            Expression::List(parts) => match parts.as_slice() {
                [Expression::Word("Option"), of] => {
                    let bound = self.bound(of, &format!("(val {term})"))?;
                    Some(format!("(=> ((_ is some) {term}) {bound})"))
                }
                _ => None,
            },
        }
    }

    /// What is asked of a set that is said: which terms are in it. What is in it beside, no policy can tell from anything else.
    fn of_elements(&self, of: &Expression<'q>, set: &str) -> Vec<String> {
        let of = match of.list() {
            Some([Expression::Word("Set"), of]) => of,
            _ => return Vec::new(),
        };
        let candidates = self.elements.iter().filter(|element| self.terms.get(*element) == Some(of));
        let bounds = candidates.filter_map(|element| {
            let bound = self.bound(of, element)?;
            Some(format!("(=> (set.member {element} {set}) {bound})"))
        });
        let mut bounds: Vec<String> = bounds.collect();
        bounds.sort();
        bounds.dedup();
        bounds
    }
}

/// The types in which no record is.
const CEDARS_OWN: [&str; 5] = ["Datetime", "Duration", "Decimal", "IPAddr", "Option"];

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// A name of the schema is no part of the question, whatever is in it.
    #[test]
    fn comments_are_left_out_and_strings_are_not() {
        let question = "; User::[a\r(assert false), \"b]\n(assert (= t0 (E0 \"a;b\"\"c;\"))) ; d\n(assert t1)\n";
        assert_eq!(without_comments(question), "\n(assert (= t0 (E0 \"a;b\"\"c;\"))) \n(assert t1)\n");
    }

    #[test]
    fn what_is_said_is_bounded_and_what_is_computed_is_not() {
        let question = r#"
            (declare-datatype Option (par (X) ((none) (some (val X)))))
            (declare-datatype Datetime ((Datetime (datetimeVal (_ BitVec 64)))))
            (declare-datatype R1 ((R1 (R1_a0 Datetime) (R1_a1 (Option Datetime)) (R1_a2 (Set Datetime)))))
            (declare-const t0 R1)
            (define-fun t1 () Datetime (R1_a0 t0))
            (define-fun t2 () (Set Datetime) (R1_a2 t0))
            (define-fun t3 () Datetime (Datetime (bvadd (datetimeVal t1) (_ bv1 64))))
            (define-fun t4 () Bool (set.member t3 t2))
            (assert t4)
        "#;
        let bounds = bounds(question).unwrap();
        let lines: Vec<&str> = bounds.lines().collect();
        let within = |term: &str| {
            format!(
                "(and (bvsle (_ bv18446681906404011616 64) (datetimeVal {term})) (bvsle (datetimeVal {term}) (_ bv253402387139999 64)))"
            )
        };
        let optional = format!("(=> ((_ is some) (R1_a1 t0)) {})", within("(val (R1_a1 t0))"));
        assert_eq!(lines.len(), 3, "{bounds}");
        assert_eq!(lines[0], format!("(assert (and true {} {optional}))", within("(R1_a0 t0)")));
        assert_eq!(lines[1], format!("(assert {})", within("t1")));
        assert_eq!(lines[2], format!("(assert (=> (set.member t3 t2) {}))", within("t3")));
    }

    /// A question that is written in another way than is known is not put.
    #[test]
    fn what_cannot_be_read_is_no_question() {
        for question in ["(declare-sort Datetime 0)", "(assert", "(assert))", "(assert \"a)"] {
            let question = format!("(declare-datatype Datetime ((Datetime (datetimeVal (_ BitVec 64)))))\n{question}");
            assert_eq!(bounds(&question), None, "{question}");
        }
    }
}
