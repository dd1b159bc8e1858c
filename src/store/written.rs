//! What a schema says as it is written, with the place of each thing: Cedar's own schema has forgotten places, and of what stands twice it
//! keeps the last.
//!
//! Only a text that Cedar has read is read here, so what cannot be in one is passed over.

use cedar_policy_core::parser::unescape::to_unescaped_string;
use miette::SourceSpan;

use super::nesting::token;

/// A namespace, a type or an action.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) kind: Kind,
    /// The namespace in which it stands, or the empty one.
    pub(super) namespace: String,
    /// Several may be declared at once.
    pub(super) names: Vec<Word>,
    pub(super) annotations: Vec<Annotation>,
    /// The ids of an enumerated type.
    pub(super) ids: Vec<Word>,
    /// The records that it writes: attributes, tags; of an action, what it applies to.
    pub(super) records: Vec<Vec<Member>>,
}

/// What is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Namespace,
    CommonType,
    EntityType,
    EnumeratedType,
    Action,
}

/// A member of a record.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: Word,
    pub(super) annotations: Vec<Annotation>,
    /// The members of the record that it is, or is a set of.
    pub(super) members: Vec<Member>,
}

/// An annotation: `@key("value")`.
#[derive(Debug)]
pub(super) struct Annotation {
    /// The name, without the `@`.
    pub(super) key: Word,
    pub(super) value: Option<String>,
}

impl Annotation {
    /// Where its name stands, with the `@`.
    pub(super) fn span(&self) -> SourceSpan {
        let name = self.key.span;
        (name.offset().saturating_sub(1), name.len() + 1).into()
    }
}

/// A name or a string.
#[derive(Clone, Debug)]
pub(super) struct Word {
    /// What it says, without quotation marks.
    pub(super) text: String,
    pub(super) span: SourceSpan,
}

impl Declared {
    /// The name among those that it declares.
    pub(super) fn name(&self, name: &str) -> Option<&Word> {
        self.names.iter().find(|word| word.text == name)
    }

    /// The annotation that is wanted, on the member at the end of those names, which may begin inside a record.
    pub(super) fn annotation_on(&self, path: &[&str], is_wanted: &dyn Fn(&Annotation) -> bool) -> Option<&Annotation> {
        let mut found = Vec::new();
        self.records.iter().for_each(|record| annotations_on(record, &mut Vec::new(), path, is_wanted, &mut found));
        // The nearest to the beginning is the one that is meant.
        found.into_iter().min_by_key(|(depth, _)| *depth).map(|(_, annotation)| annotation)
    }
}

fn annotations_on<'m>(
    members: &'m [Member],
    within: &mut Vec<&'m str>,
    path: &[&str],
    is_wanted: &dyn Fn(&Annotation) -> bool,
    found: &mut Vec<(usize, &'m Annotation)>,
) {
    for member in members {
        within.push(&member.name.text);
        if within.ends_with(path) {
            let annotation = member.annotations.iter().find(|annotation| is_wanted(annotation));
            found.extend(annotation.map(|annotation| (within.len(), annotation)));
        }
        annotations_on(&member.members, within, path, is_wanted, found);
        within.pop();
    }
}

/// Visits the members of a record, and those of the records in it.
pub(super) fn each_member<'m>(members: &'m [Member], visit: &mut dyn FnMut(&'m Member)) {
    for member in members {
        visit(member);
        each_member(&member.members, visit);
    }
}

/// Reads a schema in Cedar's own syntax.
pub(super) fn read(text: &str) -> Vec<Declared> {
    let mut reader = Reader { tokens: tokens(text).collect::<Vec<_>>().into_iter().peekable() };
    let mut namespace = String::new();
    let mut all = Vec::new();
    while reader.tokens.peek().is_some() {
        let annotations = reader.annotations();
        reader.next_if(|token| token == "external");
        let Some((_, keyword)) = reader.tokens.next() else { break };
        let kind = match keyword {
            "namespace" => Kind::Namespace,
            "type" => Kind::CommonType,
            "entity" => Kind::EntityType,
            "action" => Kind::Action,
            // The end of a namespace.
            _ => {
                namespace.clear();
                continue;
            }
        };
        let names = if kind == Kind::Namespace { reader.path() } else { reader.names() };
        if let (Kind::Namespace, [name]) = (kind, names.as_slice()) {
            name.text.clone_into(&mut namespace);
        }
        let (ids, records, within) = (Vec::new(), Vec::new(), namespace.clone());
        let mut declared = Declared { kind, namespace: within, names, annotations, ids, records };
        reader.rest(&mut declared);
        all.push(declared);
    }
    all
}

/// Every annotation of a text, in schemas and in policies: the `@` with the name behind it.
pub(super) fn annotations(text: &str) -> Vec<Word> {
    let all: Vec<_> = tokens(text).collect();
    let pairs = all.windows(2).filter_map(|pair| match pair {
        [(_, "@"), (at, name)] => Some(word(*at, name)),
        _ => None,
    });
    pairs.collect()
}

/// The tokens that count, each with where it begins.
fn tokens(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    let all = std::iter::from_fn(move || {
        let token = token(text.get(at..)?)?;
        at += token.len();
        Some((at - token.len(), token))
    });
    all.filter(|(_, token)| !token.starts_with("//") && !token.trim().is_empty())
}

fn word(at: usize, token: &str) -> Word {
    let inner = token.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let text = inner.map(|inner| to_unescaped_string(inner).map_or_else(|_| inner.to_owned(), String::from));
    Word { text: text.unwrap_or_else(|| token.to_owned()), span: (at, token.len()).into() }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_' || first == '"')
}

struct Reader<'t> {
    tokens: std::iter::Peekable<std::vec::IntoIter<(usize, &'t str)>>,
}

impl<'t> Reader<'t> {
    fn next_if(&mut self, wanted: impl FnOnce(&str) -> bool) -> Option<(usize, &'t str)> {
        self.tokens.next_if(|(_, token)| wanted(token))
    }

    fn annotations(&mut self) -> Vec<Annotation> {
        let mut all = Vec::new();
        while self.next_if(|token| token == "@").is_some() {
            let Some((at, key)) = self.tokens.next() else { break };
            let mut value = None;
            if self.next_if(|token| token == "(").is_some() {
                value = self.tokens.next().map(|(at, token)| word(at, token).text);
                self.next_if(|token| token == ")");
            }
            all.push(Annotation { key: word(at, key), value });
        }
        all
    }

    /// The names that are declared: one, or several with commas between them.
    fn names(&mut self) -> Vec<Word> {
        let mut names = Vec::new();
        while let Some((at, name)) = self.next_if(is_name) {
            names.push(word(at, name));
            if self.next_if(|token| token == ",").is_none() {
                break;
            }
        }
        names
    }

    /// The name of a namespace, up to its brace.
    fn path(&mut self) -> Vec<Word> {
        let parts: Vec<_> = std::iter::from_fn(|| self.next_if(|token| token != "{")).collect();
        let (Some((start, _)), Some((end, last))) = (parts.first(), parts.last()) else { return Vec::new() };
        let text = parts.iter().map(|(_, token)| *token).collect();
        vec![Word { text, span: (*start, end + last.len() - start).into() }]
    }

    /// What stands behind the names, up to the end of the declaration; of a namespace, up to its beginning.
    fn rest(&mut self, declared: &mut Declared) {
        while let Some((_, token)) = self.tokens.next() {
            match token {
                ";" => return,
                "{" if declared.kind == Kind::Namespace => return,
                "{" => declared.records.push(self.members()),
                "enum" if declared.kind == Kind::EntityType && self.next_if(|token| token == "[").is_some() => {
                    declared.kind = Kind::EnumeratedType;
                    declared.ids = self.names();
                }
                _ => {}
            }
        }
    }

    /// The members of a record, behind its opening brace.
    fn members(&mut self) -> Vec<Member> {
        let mut all = Vec::new();
        loop {
            let annotations = self.annotations();
            let Some((at, name)) = self.tokens.next() else { return all };
            match name {
                "}" => return all,
                "," => {}
                _ => {
                    let (members, ends) = self.type_of_member();
                    all.push(Member { name: word(at, name), annotations, members });
                    if ends {
                        return all;
                    }
                }
            }
        }
    }

    /// The type of a member, and whether the record ends behind it.
    fn type_of_member(&mut self) -> (Vec<Member>, bool) {
        let (mut members, mut depth) = (Vec::new(), 0_usize);
        while let Some((_, token)) = self.tokens.next() {
            match token {
                "{" => members = self.members(),
                "[" => depth += 1,
                "]" => depth = depth.saturating_sub(1),
                "," if depth == 0 => return (members, false),
                "}" => return (members, true),
                _ => {}
            }
        }
        (members, true)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn shown(members: &[Member]) -> String {
        let all = members.iter().map(|member| {
            let annotations: String = member.annotations.iter().map(|found| format!("@{} ", found.key.text)).collect();
            let inner =
                if member.members.is_empty() { String::new() } else { format!("{{{}}}", shown(&member.members)) };
            format!("{annotations}{}{inner}", member.name.text)
        });
        all.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn everything_that_is_written_is_found_where_it_stands() {
        let text = r#"
            // entity Not = { it: Long };
            @doc("a; b { } @no") namespace N::M {
              @a @b("x\"y") entity U, V in [G, N::G] = { "two words"?: Set<{ @in_set e: Long, }>, @c("1") "in": String, r: { inner: { deep: Bool } } }
                tags { @t k: Long };
              entity E enum ["a", "b//c"];
              entity G {};
              type T = { x: Long } // }
              ;
              @act action "a b", c in ["g", N::Action::"h"] appliesTo { principal: [U, V], resource: U, context: { @ctx m: T, }, };
              action g; action h;
            }
            type enum = Long; entity tags;
        "#;
        // Cedar reads it.
        let (_, _) =
            cedar_policy::SchemaFragment::from_cedarschema_str(text).map_err(|error| format!("{error:?}")).unwrap();
        let found = read(text);
        let line = |declared: &Declared| {
            let words = |words: &[Word]| words.iter().map(|word| word.text.clone()).collect::<Vec<_>>().join(",");
            let annotations: Vec<_> =
                declared.annotations.iter().map(|found| (&*found.key.text, found.value.as_deref())).collect();
            let records: Vec<_> = declared.records.iter().map(|record| shown(record)).collect();
            format!(
                "{:?} {} {annotations:?} [{}] {records:?}",
                declared.kind,
                words(&declared.names),
                words(&declared.ids)
            )
        };
        let lines: Vec<String> = found.iter().map(line).collect();
        assert_eq!(
            lines,
            [
                r#"Namespace N::M [("doc", Some("a; b { } @no"))] [] []"#,
                r#"EntityType U,V [("a", None), ("b", Some("x\"y"))] [] ["two words{@in_set e} @c in r{inner{deep}}", "@t k"]"#,
                r#"EnumeratedType E [] [a,b//c] []"#,
                r#"EntityType G [] [] [""]"#,
                r#"CommonType T [] [] ["x"]"#,
                r#"Action a b,c [("act", None)] [] ["principal resource context{@ctx m}"]"#,
                r#"Action g [] [] []"#,
                r#"Action h [] [] []"#,
                r#"CommonType enum [] [] []"#,
                r#"EntityType tags [] [] []"#,
            ]
        );
        let keys: Vec<_> = annotations(text).into_iter().map(|key| key.text).collect();
        assert_eq!(keys, ["doc", "a", "b", "in_set", "c", "t", "act", "ctx"]);
        assert_eq!(&text[found[1].names[1].span.offset()..][..1], "V");
    }

    /// Random schemas, in which names are keywords and comments stand everywhere.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % end
        }

        fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
            of[usize::try_from(self.below(of.len() as u64)).unwrap()]
        }

        fn several(&mut self, most: u64, between: &str, one: &mut dyn FnMut(&mut Self) -> String) -> String {
            (0..=self.below(most)).map(|_| one(self)).collect::<Vec<_>>().join(between)
        }

        fn name(&mut self) -> String {
            const NAMES: [&str; 16] = [
                "entity",
                "action",
                "type",
                "namespace",
                "tags",
                "enum",
                "appliesTo",
                "principal",
                "resource",
                "context",
                "attributes",
                "external",
                "U",
                "_v",
                "doc",
                "x9",
            ];
            self.one(&NAMES).to_owned()
        }

        fn path(&mut self) -> String {
            self.several(2, " :: ", &mut Self::name)
        }

        fn annotations(&mut self) -> String {
            if self.below(3) > 0 {
                return String::new();
            }
            let value = self.one(&["", " ( \"v\" )", " ( \"@no { ; \\\" // } \" )"]);
            format!("@ {}{value} ", self.name())
        }

        fn of_type(&mut self, depth: u64) -> String {
            match self.below(if depth == 0 { 2 } else { 4 }) {
                0 => self.path(),
                1 => self.one(&["Long", "String", "Bool"]).to_owned(),
                2 => format!("Set < {} >", self.of_type(depth - 1)),
                _ => self.record(depth - 1),
            }
        }

        fn record(&mut self, depth: u64) -> String {
            let inner = self.several(3, " , ", &mut |random| {
                let name = if random.below(3) == 0 { "\"a } ; b\"".to_owned() } else { random.name() };
                let optional = random.one(&["", "?"]);
                format!("{}{name} {optional} : {}", random.annotations(), random.of_type(depth))
            });
            format!("{{ {inner} {} }}", self.one(&["", ","]))
        }

        fn parents(&mut self) -> String {
            match self.below(3) {
                0 => String::new(),
                1 => format!(" in {}", self.path()),
                _ => format!(" in [ {} ]", self.several(2, " , ", &mut Self::path)),
            }
        }

        fn declaration(&mut self) -> String {
            let names = self.several(1, " , ", &mut Self::name);
            let declared = match self.below(5) {
                0 => format!("type {} = {} ;", self.name(), self.of_type(3)),
                1 => format!("entity {names} enum [ \"a ] ;\" , \"b\" ] ;"),
                2 => {
                    let context = format!("context : {} ,", self.record(2));
                    format!(
                        "action {names}{} appliesTo {{ principal : [ {} ] , {context} resource : {} }} ;",
                        self.parents(),
                        self.path(),
                        self.path()
                    )
                }
                3 => format!("external entity {names}{} ;", self.parents()),
                _ => {
                    let attributes = format!("{} {}", self.one(&["", "="]), self.record(3));
                    let tags = if self.below(2) == 0 { String::new() } else { format!(" tags {}", self.of_type(2)) };
                    format!(
                        "entity {names}{}{}{tags} ;",
                        self.parents(),
                        if self.below(4) == 0 { "" } else { &attributes }
                    )
                }
            };
            format!("{}{declared}", self.annotations())
        }

        fn schema(&mut self) -> String {
            let plain = self.several(3, " ", &mut |random| {
                let declarations = random.several(2, " ", &mut Self::declaration);
                if random.below(2) == 0 {
                    declarations
                } else {
                    format!("{}namespace {} {{ {declarations} }}", random.annotations(), random.path())
                }
            });
            let words =
                plain.split(' ').map(|word| format!("{word}{}", self.one(&[" ", "\n", " // } ; \" @c\r", "\t"])));
            words.collect()
        }
    }

    /// Everything that is declared, as Cedar's JSON has it.
    fn as_cedar_has_it(schema: &serde_json::Value) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (namespace, content) in schema.as_object().unwrap() {
            note(&mut found, &format!("Namespace {namespace}"), content);
            for (kind, list) in [("CommonType", "commonTypes"), ("EntityType", "entityTypes"), ("Action", "actions")] {
                for (name, json) in content[list].as_object().into_iter().flatten() {
                    let kind = if json.get("enum").is_some() { "EnumeratedType" } else { kind };
                    let path = format!("{kind} {namespace} {name}");
                    note(&mut found, &path, json);
                    for inner in [Some(json), json.get("shape"), json.get("tags"), json.pointer("/appliesTo/context")] {
                        inner.into_iter().for_each(|inner| note_members(&mut found, &path, inner));
                    }
                }
            }
        }
        found
    }

    fn note(found: &mut BTreeSet<String>, path: &str, json: &serde_json::Value) {
        found.insert(path.to_owned());
        let annotations = json.get("annotations").and_then(serde_json::Value::as_object).into_iter().flatten();
        found.extend(annotations.map(|(key, value)| format!("{path} @{key} {}", value.as_str().unwrap_or(""))));
    }

    fn note_members(found: &mut BTreeSet<String>, path: &str, json: &serde_json::Value) {
        for (name, member) in json.get("attributes").and_then(serde_json::Value::as_object).into_iter().flatten() {
            let path = format!("{path} . {name}");
            note(found, &path, member);
            note_members(found, &path, member);
        }
        json.get("element").into_iter().for_each(|element| note_members(found, path, element));
    }

    fn as_it_is_read(schema: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for declared in read(schema) {
            for name in &declared.names {
                let path = match declared.kind {
                    Kind::Namespace => format!("Namespace {}", name.text),
                    kind => format!("{kind:?} {} {}", declared.namespace, name.text),
                };
                note_read(&mut found, &path, &declared.annotations);
                for record in &declared.records {
                    // Of what an action applies to, the context alone has members.
                    let of_context = record.iter().find(|member| member.name.text == "context");
                    match declared.kind {
                        Kind::Action => {
                            of_context.into_iter().for_each(|context| read_members(&mut found, &path, &context.members))
                        }
                        _ => read_members(&mut found, &path, record),
                    }
                }
            }
        }
        found
    }

    fn note_read(found: &mut BTreeSet<String>, path: &str, annotations: &[Annotation]) {
        found.insert(path.to_owned());
        let value = |annotation: &Annotation| annotation.value.clone().unwrap_or_default();
        found.extend(annotations.iter().map(|found| format!("{path} @{} {}", found.key.text, value(found))));
    }

    fn read_members(found: &mut BTreeSet<String>, path: &str, all: &[Member]) {
        for member in all {
            let path = format!("{path} . {}", member.name.text);
            note_read(found, &path, &member.annotations);
            read_members(found, &path, &member.members);
        }
    }

    /// A8, A9: what Cedar finds in a schema is found in its text too, each with its annotations: nothing that stands twice hides behind a name that
    /// is a keyword, or behind a comment.
    #[test]
    fn what_cedar_reads_is_found_in_the_text() {
        let (mut random, mut read) = (Random(1), 0);
        for _ in 0..20_000 {
            let text = random.schema();
            let Ok((fragment, _)) = cedar_policy::SchemaFragment::from_cedarschema_str(&text) else { continue };
            read += 1;
            let cedar = as_cedar_has_it(&fragment.to_json_value().unwrap());
            let own = as_it_is_read(&text);
            let missing: Vec<_> = cedar.iter().filter(|path| !own.contains(*path) && *path != "Namespace ").collect();
            assert!(missing.is_empty(), "{missing:?} in\n{text}\n{own:?}");
            let count = annotations(&text).len();
            let mut found = read_annotations(&text);
            found.sort_unstable();
            assert_eq!(found.len(), count, "{text}");
        }
        assert!(read > 1_000, "{read}");
    }

    fn read_annotations(text: &str) -> Vec<usize> {
        let mut found = Vec::new();
        for declared in read(text) {
            found.extend(declared.annotations.iter().map(|annotation| annotation.key.span.offset()));
            for record in &declared.records {
                each_member(record, &mut |member| {
                    found.extend(member.annotations.iter().map(|annotation| annotation.key.span.offset()));
                });
            }
        }
        found
    }
}
