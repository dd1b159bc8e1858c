//! "`fmt` never loses a comment, ever, is stable after one run, reads CRLF everywhere, and formats schemas."

#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[allow(dead_code)]
mod random;
mod texts;

use std::fs;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use cedar_policy::{PolicySet, SchemaFragment};
use cedar_policy_formatter::{Config, policies_str_to_pretty};
use common::binary::gatepost;
use common::copy_of_built_in;
use gatepost::format;
use gatepost::store::{Problem, SourceFile};
use random::Random;
use serde_json::Value;
use tempfile::TempDir;
use texts::Text;

type Formatter = fn(&SourceFile) -> Result<String, Vec<Problem>>;

/// Formats a text, and checks that what it gives stays as it is.
fn formatted(formatter: Formatter, text: &str) -> String {
    let format = |text: &str| {
        let told = |problems: Vec<Problem>| panic!("{}\nfrom {text}", problems[0]);
        formatter(&SourceFile { path: "p".into(), text: text.into() }).unwrap_or_else(told)
    };
    let once = format(text);
    assert_eq!(format(&once), once, "not stable, from {text}");
    once
}

/// So many files are made: `FMT_FILES`.
fn files() -> u64 {
    std::env::var("FMT_FILES").map_or(200, |count| count.parse().unwrap())
}

/// A file of a store, made at random.
struct Made {
    path: String,
    text: Text,
    /// The line breaks that it has when it is formatted.
    line_break: &'static str,
}

fn made(seed: u64) -> Made {
    let mut random = Random::new(seed);
    let breaks: &[&str] = match seed % 5 {
        0 | 1 => &["\n"],
        2 | 3 => &["\r\n"],
        _ => &["\n", "\r\n", "\r"],
    };
    let percent = random.pick(&[5, 30, 100]);
    let count = random.below(5) + 1;
    let is_schema = random.chance(50);
    let statements = if is_schema { texts::schema(&mut random, count) } else { texts::policies(&mut random, count) };
    let text = texts::with_comments(&mut random, &statements, percent, breaks);
    let is_crlf = text.text.find('\n').is_some_and(|at| text.text[..at].ends_with('\r'));
    let path = if is_schema { format!("schema/{seed}.cedarschema") } else { format!("policies/{seed}.cedar") };
    Made { path, text, line_break: if is_crlf { "\r\n" } else { "\n" } }
}

/// What Cedar reads: the policies in their order, or the schema.
fn read(path: &str, text: &str) -> Value {
    let text = text.replace("\r\n", "\n");
    if path.ends_with(".cedarschema") {
        let read = SchemaFragment::from_cedarschema_str(&text);
        return read.unwrap_or_else(|error| panic!("{path}: {error:?}\n{text}")).0.to_json_value().unwrap();
    }
    let set = PolicySet::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error:?}\n{text}"));
    let mut all: Vec<_> = set.policies().collect();
    all.sort_by_key(|policy| policy.id().to_string().trim_start_matches("policy").parse::<usize>().unwrap());
    all.iter().map(|policy| policy.to_json().unwrap()).collect()
}

/// Checks a formatted file against what it was.
fn check(made: &Made, formatted: &str) {
    let Made { path, text, line_break } = made;
    let mut rest = formatted;
    for comment in &text.comments {
        let Some((_, behind)) = rest.split_once(comment.as_str()) else { panic!("{path}: {comment} is lost") };
        assert!(behind.starts_with(['\r', '\n']), "{path}: {comment} does not end its line\n{formatted}");
        rest = behind;
    }
    assert_eq!(formatted.matches("// #").count(), text.comments.len(), "{formatted}");
    assert!(!formatted.replace(line_break, "").contains(['\r', '\n']), "{path}: other line ends\n{formatted:?}");
    let unix = formatted.replace("\r\n", "\n");
    let outside =
        text.long_strings.iter().fold(unix, |text, string| text.replace(&string.replace("\r\n", "\n"), "\"\""));
    assert!(!outside.contains("\n\n\n"), "{path}: two empty lines\n{formatted}");
    assert!(
        !outside.lines().any(|line| line.ends_with([' ', '\t'])),
        "{path}: space at the end of a line\n{formatted}"
    );
    assert_eq!(read(path, formatted), read(path, &text.text), "{path}");
}

/// Formats files in one store, and checks each; gives how many bytes and comments they had.
fn format_and_check(all: &[Made]) -> (usize, usize) {
    let store = TempDir::new().unwrap();
    common::write(store.path(), "schema/a.cedarschema", b"");
    common::write(store.path(), "policies/a.cedar", b"");
    all.iter().for_each(|made| common::write(store.path(), &made.path, made.text.text.as_bytes()));
    gatepost(store.path(), &["fmt", "--store", "."]).with(0);
    for made in all {
        check(made, &fs::read_to_string(store.path().join(&made.path)).unwrap());
    }
    assert_eq!(gatepost(store.path(), &["fmt", "--check", "--store", "."]).with(0).out, "0 files not formatted\n");
    let bytes = all.iter().map(|made| made.text.text.len()).sum();
    (bytes, all.iter().map(|made| made.text.comments.len()).sum())
}

/// "None lost, all stable": the command itself formats them, a hundred in a store, several stores at once.
#[test]
fn no_comment_is_lost_and_what_is_formatted_stays_so() {
    let next = AtomicU64::new(0);
    let work = || {
        let starts = std::iter::repeat_with(|| next.fetch_add(100, Ordering::Relaxed));
        let batches = starts.take_while(|start| *start < files()).map(|start| {
            let all: Vec<Made> = (start..files().min(start + 100)).map(made).collect();
            format_and_check(&all)
        });
        batches.fold((0, 0), |sum, counts| (sum.0 + counts.0, sum.1 + counts.1))
    };
    let (bytes, comments) = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        let counts = workers.into_iter().map(|worker| worker.join().unwrap());
        counts.fold((0, 0), |sum, counts| (sum.0 + counts.0, sum.1 + counts.1))
    });
    println!("{} files, {bytes} bytes, {comments} comments: none lost, all stable", files());
}

#[test]
fn policies_without_comments_look_as_cedars_own_formatter_has_them() {
    let form = Config { line_width: 80, indent_width: 2 };
    let mut compared = 0;
    for seed in 0..files() {
        let statements = texts::policies(&mut Random::new(seed), 3);
        let text = texts::plain(&statements).replace("\r\n", "\n");
        // It fails on some policies.
        let Ok(expected) = policies_str_to_pretty(&text, &form) else { continue };
        assert_eq!(formatted(format::policies, &text), expected, "seed {seed}");
        compared += 1;
    }
    assert!(compared > files() / 2, "{compared}");
}

/// Formats a store of one file, and gives what the file holds then.
fn formatted_file(path: &str, content: &[u8]) -> Vec<u8> {
    let store = copy_of_built_in();
    common::write(store.path(), path, content);
    gatepost(store.path(), &["fmt"]).with(0);
    let formatted = fs::read(store.path().join(path)).unwrap();
    gatepost(store.path(), &["fmt", "--check"]).with(0);
    formatted
}

/// "Loses comments after a trailing comma (`"NZ", // why` before `]`)": of every list, in policies and schemas.
#[test]
fn comments_behind_a_last_comma_are_kept() {
    let policy = r#"permit (
  principal,
  action in [
    Action::"a", // first
    // before the second
    Action::"b", // second
    // at the end
  ],
  resource, // all
)
when
{
  ["AU", "NZ", // why
  ].contains(resource.market, // of it
  ) && { a: 1, // one
  } == context.all
};
"#;
    let expected = r#"permit (
  principal,
  action in
    [
      Action::"a", // first
      // before the second
      Action::"b" // second
      // at the end
    ],
  resource // all
)
when
{
  [
    "AU",
    "NZ" // why
  ].contains(
      resource.market // of it
    ) &&
  {
    a: 1 // one
  } == context.all
};
"#;
    assert_eq!(formatted(format::policies, policy), expected);
    let schema = "entity A = { a: Long, // one\n b: { c: Long, // two\n }, };\naction a appliesTo { principal: A, resource: A, // three\n};";
    let expected = r"entity A = {
  a: Long, // one
  b: {
    c: Long, // two
  },
};
action a appliesTo {
  principal: A,
  resource: A, // three
};
";
    assert_eq!(formatted(format::schema, schema), expected);
}

/// "Is not idempotent (a comment line before a leading `||`)": nor before any other token that begins a line.
#[test]
fn comments_before_a_leading_operator_stay_where_they_are_put() {
    let policy = r#"permit (principal, action, resource) when {
  principal.a // left
  // why
  || principal.b
  // and
  && principal.c // last
  // more of the last
  // before the comparison
  == 1
  // of the owner
  .owner
} // after the brace
// before the end
;
"#;
    let expected = r#"permit (principal, action, resource)
when
{
  principal.a || // left
  // why
  principal.b &&
  // and
  principal.c // last
  // more of the last
  // before the comparison
  == 1
    // of the owner
    .owner
} // after the brace
// before the end
;
"#;
    assert_eq!(formatted(format::policies, policy), expected);
}

/// "Cannot read CRLF with a string over lines": the lines stay those of Windows, and the file says what it says with those of Unix. A byte
/// order mark stays.
#[test]
fn files_with_line_ends_of_windows_keep_them() {
    let ugly =
        "// Strings.\r\n\r\n@id(\"all\") @reason(\"over\r\n  lines\") permit (principal,action,resource); // so\r\n";
    let pretty = "// Strings.\r\n\r\n@id(\"all\")\r\n@reason(\"over\r\n  lines\")\r\npermit (principal, action, resource); // so\r\n";
    for mark in ["", "\u{feff}"] {
        let file = |text: &str| format!("{mark}{text}").into_bytes();
        assert_eq!(formatted_file("policies/all.cedar", &file(ugly)), file(pretty));
        assert_eq!(formatted_file("policies/all.cedar", &file(pretty)), file(pretty));
    }
    // Where they differ, all become like the first.
    let mixed = ugly.replacen("lines\")", "lines\")\n", 1);
    assert_eq!(formatted_file("policies/all.cedar", mixed.as_bytes()), pretty.as_bytes());
    let mixed = pretty.replacen("\r\n@reason", "\n@reason", 1);
    assert_eq!(formatted_file("policies/all.cedar", mixed.as_bytes()), pretty.as_bytes());
    let schema = formatted_file("schema/more.cedarschema", b"entity One;\r\nentity Two={a:Long};\r\n");
    assert_eq!(schema, b"entity One;\r\nentity Two = { a: Long };\r\n");
}

/// A store that was checked out with the line ends of Windows is the same store, also where a string goes over lines: Cedar 4.14.1 refuses
/// the carriage return in it (`findings/cedar-policies-with-windows-line-ends.sh`).
#[test]
fn a_store_says_the_same_with_line_ends_of_windows() {
    let (unix, windows) = (copy_of_built_in(), copy_of_built_in());
    let policy = "@id(\"two\")\n@source(\"entry/who\")\n@reason(\"over\nlines\")\nforbid (principal, action, resource)\nwhen { false };\n";
    common::write(unix.path(), "policies/two.cedar", policy.as_bytes());
    common::write(windows.path(), "policies/two.cedar", policy.as_bytes());
    for folder in ["schema", "policies", "matrix"] {
        for entry in fs::read_dir(windows.path().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replace('\n', "\r\n")).unwrap();
        }
    }
    let checked = |store: &TempDir| gatepost(store.path(), &["check"]).with(0).out;
    assert_eq!(checked(&windows), checked(&unix));
    gatepost(windows.path(), &["test"]).with(0);
    assert_eq!(gatepost(windows.path(), &["fmt", "--check"]).with(0).out, "0 files not formatted\n");
}

/// "Adds blank lines": those between statements stay, at most one at a place; in policies there are none.
#[test]
fn empty_lines_are_kept_between_statements_and_added_nowhere() {
    let policies = "\n\n// Heading.\n\n\n\n// Of the first.\npermit (principal, action, resource);\npermit (principal, action, resource\n\n); permit (principal, action, resource) // all\n\nwhen\n\n{\n\n// why\n\ntrue\n\n};\n\n\n// End.\n\n// Of all.\n\n\n";
    let expected = "// Heading.\n\n// Of the first.\npermit (principal, action, resource);\npermit (principal, action, resource);\npermit (principal, action, resource) // all\nwhen\n{\n  // why\n  true\n};\n\n// End.\n\n// Of all.\n";
    assert_eq!(formatted(format::policies, policies), expected);
    let schema = "\nentity A = {\n\n\n  a: Long,\n\n\n  // Of b.\n\n  b: Long,\n  c: Long,\n\n};\nentity B;\n\n\nnamespace N {\n\nentity A;\n\n\nentity B;\n\n\n// End.\n\n}\n";
    let expected = "entity A = {\n  a: Long,\n\n  // Of b.\n\n  b: Long,\n  c: Long,\n};\nentity B;\n\nnamespace N {\n  entity A;\n\n  entity B;\n\n  // End.\n}\n";
    assert_eq!(formatted(format::schema, schema), expected);
    for text in ["", "\n\n", " \t", "\r\n"] {
        assert_eq!(formatted(format::policies, text), "");
        assert_eq!(formatted(format::schema, text), "");
    }
}

/// Every form of a declaration, with comments and annotations everywhere.
#[test]
fn schemas_are_formatted() {
    let ugly = r#"// Shops.
@doc("a shop")@owner
namespace Shop::Front{// all
entity Colour enum["red","green"];entity Team,Group in[Team,Shop::Front::Group]; // groups
@alias("p") entity Person in Team={@market("this.market")phone?:String,"two words":Set<Set<Long>>}tags Set<String>;
  type Address={street:String,where:{north:decimal,
  // Of the south.
  south:decimal}};
entity Thing {
name: String };
action "look at",touch,anActionWithALongName,anotherActionWithALongName in["all",Shop::Action::"most"]appliesTo{principal:[Person,Team],resource:Thing,context:{room:String,}};
action all;action nothing appliesTo{principal:Person,resource:[Thing],context:Address} attributes{};
type entity=Long;
}
namespace Empty{}
namespace Later{
// Nothing yet.
}
entity AVeryLongNameOfAnEntity in [AnotherVeryLongNameOfAnEntity, AnotherVeryLongNameOfAnotherEntity, AThird];
"#;
    let pretty = r#"// Shops.
@doc("a shop")
@owner
namespace Shop::Front { // all
  entity Colour enum ["red", "green"];
  entity Team, Group in [Team, Shop::Front::Group]; // groups
  @alias("p")
  entity Person in Team = {
    @market("this.market")
    phone?: String,
    "two words": Set<Set<Long>>,
  } tags Set<String>;
  type Address = {
    street: String,
    where: {
      north: decimal,
      // Of the south.
      south: decimal,
    },
  };
  entity Thing {
    name: String,
  };
  action "look at", touch, anActionWithALongName, anotherActionWithALongName in [
    "all",
    Shop::Action::"most"
  ] appliesTo { principal: [Person, Team], resource: Thing, context: { room: String } };
  action all;
  action nothing appliesTo { principal: Person, resource: [Thing], context: Address } attributes {};
  type entity = Long;
}
namespace Empty {}
namespace Later {
  // Nothing yet.
}
entity AVeryLongNameOfAnEntity in [
  AnotherVeryLongNameOfAnEntity,
  AnotherVeryLongNameOfAnotherEntity,
  AThird
];
"#;
    assert_eq!(formatted(format::schema, ugly), pretty);
}

/// "A file that does not parse is an error with its place and is left untouched", and so are all others then.
#[test]
fn a_schema_that_does_not_parse_is_an_error_at_its_place_and_nothing_is_written() {
    let store = copy_of_built_in();
    let (ugly, half) = ("permit(principal,action,resource);", "entity A = {\n  a: Long\n  b: Long };\n");
    common::write(store.path(), "policies/ugly.cedar", ugly.as_bytes());
    common::write(store.path(), "schema/half.cedarschema", half.as_bytes());
    for arguments in [["fmt"].as_slice(), &["fmt", "--check"]] {
        let ran = gatepost(store.path(), arguments).with(2);
        assert!(ran.err.contains("[schema/half.cedarschema:3:3]"), "{}", ran.err);
        assert_eq!(fs::read_to_string(store.path().join("policies/ugly.cedar")).unwrap(), ugly);
        assert_eq!(fs::read_to_string(store.path().join("schema/half.cedarschema")).unwrap(), half);
    }
}

/// `check --fix` touches what it renames, and no line end beside it.
#[test]
fn check_fix_keeps_every_line_end() {
    let store = copy_of_built_in();
    let policy = "@id(\"a\")\r\n@source(\"entry/who\") @frequency(\"over\r\nlines\")\n@reason(\"so\")\r\nforbid (principal, action, resource)\nwhen { false };\r\n";
    common::write(store.path(), "policies/a.cedar", policy.as_bytes());
    gatepost(store.path(), &["check", "--fix"]);
    let fixed = fs::read_to_string(store.path().join("policies/a.cedar")).unwrap();
    assert_ne!(fixed, policy);
    assert_eq!(fixed, policy.replace("@frequency", "@x_frequency"));
}

/// What is as deep as a store may be is formatted too.
#[test]
fn what_is_as_deep_as_it_may_be_is_formatted() {
    let deep = |open: &str, inner: &str, close: &str, depth| open.repeat(depth) + inner + &close.repeat(depth);
    for condition in [
        deep("(", "true", ")", 45),
        deep("[", "", "]", 45),
        deep("{a: ", "1", "}", 45),
        deep("if true then false else ", "true", "", 180),
        format!("principal{} == 1", ".a".repeat(180)),
    ] {
        formatted(format::policies, &format!("permit (principal, action, resource) when {{ {condition} }};"));
    }
    for kind in [deep("Set<", "Long", ">", 45), deep("{ a: ", "Long", "}", 45)] {
        formatted(format::schema, &format!("type T = {kind};"));
    }
}
