//! The reviewer's document: in text, Markdown, CSV and HTML, and at `/report`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::binary::{Ran, Serving, command, fed, gatepost};
use common::browser::Browser;
use common::server::{Answer, Server};
use common::{copy_of_built_in, edit, folder, open_limits};
use gatepost::http::ReportPage;
use gatepost::http::authzen::Limits;
use insta::assert_snapshot;
use regex::Regex;

const FORMATS: [&str; 4] = ["text", "markdown", "csv", "html"];

/// A solver that is not there: what does not need one must look the same everywhere.
const NO_SOLVER: [&str; 2] = ["--solver", "/nowhere/cvc5"];

fn documents() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores/documents")
}

/// The report on the store in that folder, made on a day of its own choice, with these further arguments.
fn report(store: &Path, format: &str, further: &[&str]) -> Ran {
    let mut arguments = vec!["report", "--store", ".", "--format", format];
    arguments.extend(further);
    ran(command(store, &arguments).env("SOURCE_DATE_EPOCH", "1794960000"))
}

fn built_in(format: &str, further: &[&str]) -> Ran {
    let mut arguments = vec!["report", "--format", format];
    arguments.extend(further);
    ran(command(Path::new("."), &arguments).env("SOURCE_DATE_EPOCH", "1794960000"))
}

fn ran(command: &mut Command) -> Ran {
    Ran::new(command.output().unwrap())
}

/// A copy of the built-in store, in which a partner's users of a managed account may not view what they may.
fn with_a_flipped_condition() -> tempfile::TempDir {
    let store = copy_of_built_in();
    let (from, to) =
        ("resource.supportedBy == Supporter::\"partner\"", "resource.supportedBy != Supporter::\"partner\"");
    edit(&store, "policies/permissions.cedar", from, to);
    store
}

/// What changes from one machine, one revision and one version to the next.
fn filters() -> Vec<(&'static str, &'static str)> {
    vec![
        (r"cvc5 \d+\.\d+\.\d+", "cvc5 VERSION"),
        (r"[0-9a-f]{64}", "DIGEST"),
        (r"Revision [0-9a-f]{12}", "Revision DIGEST"),
        (r"gatepost \d+\.\d+\.\d+, Cedar \d+\.\d+\.\d+ \(cedar-policy \d+\.\d+\.\d+\)", "VERSIONS"),
        (r"email [^,]*, phone [\w.+-]+", "PLUGINS"),
    ]
}

/// "the reviewer's document in text, Markdown, CSV and one self-contained HTML file"; without the solver, cells are marked "not
/// proven here", with the reason.
#[test]
fn the_document_in_every_form_without_a_solver() {
    insta::with_settings!({ filters => filters() }, {
        assert_snapshot!("documents_text", report(&documents(), "text", &NO_SOLVER).with(0).out);
        assert_snapshot!("documents_csv", report(&documents(), "csv", &NO_SOLVER).with(0).out);
        let page = report(&documents(), "html", &NO_SOLVER).with(0).out;
        let (_, body) = page.split_once("</head>").unwrap();
        // Each element on a line of its own can be read, and compared.
        assert_snapshot!("documents_html", body.replace("><", ">\n<"));
        assert_snapshot!("built_in_markdown", built_in("markdown", &NO_SOLVER).with(0).out);
    });
}

/// Markdown "to be pasted into a review as it is": GitHub takes so many characters in a comment.
#[test]
fn the_markdown_of_the_built_in_store_fits_into_a_comment() {
    let text = built_in("markdown", &NO_SOLVER).with(0).out;
    assert!(text.chars().count() <= 65_536, "{}", text.chars().count());
}

/// "every cell marked (expected, decided, proven)", "and the proof": by which solver, what exactly, under which assumption.
#[test]
#[ignore = "needs cvc5"]
fn with_a_solver_the_proof_is_there_or_what_refutes_it() {
    insta::with_settings!({ filters => filters() }, {
        // All rows hold, but one policy can fail to evaluate.
        assert_snapshot!("documents_text_proven", report(&documents(), "text", &[]).with(1).out);
        let store = with_a_flipped_condition();
        let text = report(store.path(), "text", &[]).with(1).out;
        let (_, row) = text.split_once("\nR73  ").unwrap();
        assert_snapshot!("refuted_row", row.split("\nR74  ").next().unwrap());
    });
    let csv = built_in("csv", &[]).with(0).out;
    let rows = records(&csv);
    assert_eq!(rows.len(), 118);
    assert!(rows.iter().all(|row| row["decided"] == "as the row says" && row["proven"] == "proven"));
    let page = built_in("html", &[]).with(0).out;
    assert!(
        page.contains("an entity that is referred to and not stored acts as one without parents"),
        "the assumption is stated"
    );
}

/// A counterexample is a request that `gatepost decide --facts` takes, and decides as the document says.
#[test]
fn the_request_that_is_decided_otherwise_is_shown_and_can_be_decided() {
    let store = with_a_flipped_condition();
    let text = report(store.path(), "text", &NO_SOLVER).with(1).out;
    let (_, rest) = text.split_once("The smallest request that is denied, for `gatepost decide --facts`:\n").unwrap();
    let (request, _) = rest.split_once("    Denied because nothing permits it.").unwrap();
    fed(store.path(), &["decide", "--store", ".", "--facts"], request).with(1);
    assert!(text.starts_with("Providing Support Contact Details\n"));
    assert!(text.contains("✗ 4 of 118 rows do not hold\n"), "{text}");
    let page = report(store.path(), "html", &NO_SOLVER).with(1).out;
    assert_eq!(page.matches("<article class=\"row fails\"").count(), 4);
    assert_eq!(page.matches("<td class=\"fails\"").count(), 4);
    let csv = report(store.path(), "csv", &NO_SOLVER).with(1).out;
    assert_eq!(records(&csv).iter().filter(|row| row["decided"] == "otherwise").count(), 4);
}

/// What was not decided is never taken for proven: exit 2, as `prove`.
#[test]
#[ignore = "needs cvc5"]
fn what_the_solver_leaves_undecided_is_exit_2() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = tempfile::TempDir::new().unwrap();
    let solver = place.path().join("unsure");
    // It answers the two questions by which it is tried, and none after that.
    let script = "#!/bin/sh\n[ \"$1\" = --version ] && exec cvc5 \"$@\"\ncvc5 \"$@\" | { answers=0\nwhile IFS= read -r line; do\n\
        case \"$line\" in sat|unsat) answers=$((answers + 1)); [ -e \"$0.tried\" ] && line=unknown;; esac\n\
        [ $answers -gt 1 ] && touch \"$0.tried\"\nprintf '%s\\n' \"$line\"\ndone; }\n";
    fs::write(&solver, script).unwrap();
    fs::set_permissions(&solver, fs::Permissions::from_mode(0o755)).unwrap();
    let text = report(&documents(), "text", &["--solver", solver.to_str().unwrap()]).with(2).out;
    assert!(text.contains("? 13 of 13 rows are not decided by the solver\n"), "{text}");
    assert!(
        text.contains("Not decided for requests of Person · read · Document: the solver did not decide it"),
        "{text}"
    );
}

/// "The date is the only thing that changes between two runs on the same store."
#[test]
fn the_date_is_the_only_thing_that_changes_between_two_runs() {
    let place = tempfile::TempDir::new().unwrap();
    gatepost(place.path(), &["init", "notes"]).with(0);
    let store = place.path().join("notes");
    let date = Regex::new(r"20\d\d-\d\d-\d\d([T ])\d\d:\d\d:\d\d").unwrap();
    for format in FORMATS {
        let arguments = ["report", "--store", ".", "--format", format, NO_SOLVER[0], NO_SOLVER[1]];
        let on = |epoch: &str| ran(command(&store, &arguments).env("SOURCE_DATE_EPOCH", epoch)).with(0).out;
        let (first, second) = (on("0"), on("86399"));
        assert_ne!(first, second, "{format}");
        let second = second.replace("1970-01-01 23:59:59", "1970-01-01 00:00:00");
        assert_eq!(first, second.replace("1970-01-01T23:59:59", "1970-01-01T00:00:00"), "{format}");
        // Without it, the date is that of today.
        let today = ran(command(&store, &arguments).env_remove("SOURCE_DATE_EPOCH")).with(0).out;
        assert_eq!(date.replace_all(&today, "1970-01-01${1}00:00:00"), first, "{format}");
    }
    let wrong = ran(command(&store, &["report"]).env("SOURCE_DATE_EPOCH", "yesterday")).with(2);
    assert!(wrong.err.contains("SOURCE_DATE_EPOCH is no date"), "{}", wrong.err);
}

/// Without clauses or without a matrix there is a document, which says what is missing; and nothing is said to hold.
#[test]
fn what_is_missing_is_said() {
    let store = copy_of_built_in();
    fs::remove_file(store.path().join("matrix/clauses.toml")).unwrap();
    for format in FORMATS {
        let out = report(store.path(), format, &NO_SOLVER).with(0).out;
        assert!(out.contains("table/new-direct"), "what is cited is named: {out}");
        assert!(format == "csv" || out.contains("matrix/clauses.toml"), "{out}");
    }
    fs::remove_dir_all(store.path().join("matrix")).unwrap();
    for format in FORMATS {
        let out = report(store.path(), format, &NO_SOLVER).with(2).out;
        assert!(format == "csv" || out.contains("Nothing was checked: there is no matrix"), "{out}");
        if format == "html" {
            links_lead_somewhere(&out);
        }
    }
    assert_eq!(records(&report(store.path(), "csv", &NO_SOLVER).with(2).out).len(), 0);
}

#[test]
fn the_document_goes_into_a_file_and_what_goes_wrong_is_said() {
    let place = tempfile::TempDir::new().unwrap();
    let ran = gatepost(place.path(), &["report", "--output", "report.html", "--format", "html"]).with(0);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    assert!(fs::read_to_string(place.path().join("report.html")).unwrap().starts_with("<!DOCTYPE html>"));
    let err = gatepost(place.path(), &["report", "--output", "gone/report.txt"]).with(2).err;
    assert!(err.contains("the report cannot be written to `gone/report.txt`"), "{err}");
    gatepost(place.path(), &["report", "--format", "pdf"]).with(2);
}

/// Names and annotations with all that can go wrong in them.
fn hostile() -> tempfile::TempDir {
    let annotations = r#"
@id("a\"><img src=x onerror=alert(1)>`|`")
@reason("<script>alert('1')</script>\n# heading\n| a | b | ``` ~~~")
@reading("\u{202e}reversed\u{202c} and \u{200b}hidden @octocat #1 [x](javascript:alert(1)) & &amp;")
@source("<b>clause</b>, plain|pipe")
@note("</style></pre></td>")
"#;
    let rows = r#"
@table("=1+1|<i>table</i>") @row("+cmd `x` \\ | y") @column("@SUM(A1) <script>") @cell("-2 \"quoted\" 'single'") @source("plain|pipe")
permit (principal is User, action == Action::"<read>|`x`", resource is Doc) when { resource.name != "</code></pre><script>" };
@table("=1+1|<i>table</i>") @row("long") @column("@SUM(A1) <script>")
@cell("wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww")
permit (principal is User, action == Action::"<read>|`x`", resource is Doc) when { resource.name == "x" };
@table("=1+1|<i>table</i>") @row("longer") @column("@SUM(A1) <script>") @cell("another")
permit (principal is User, action == Action::"<read>|`x`", resource is Doc) when { resource.name == "y" };
"#;
    let clauses = "title = \"<script>\\u202e</script> | `t`\"\n[[clause]]\nid = \"<b>clause</b>\"\ntext = \"a `b` | <i>c</i>\\n=2+2\"\n\
        [[clause]]\nid = \"plain|pipe\"\ntext = \"@mention http://example.org \\u001b[31mred\"\n";
    let schema = "entity User; entity Doc = { name: String }; action \"<read>|`x`\" appliesTo { principal: User, resource: Doc };";
    folder([
        ("schema/a.cedarschema", schema.to_owned()),
        (
            "policies/a.cedar",
            format!("{annotations}permit (principal is User, action == Action::\"<read>|`x`\", resource is Doc);"),
        ),
        ("matrix/a.cedar", rows.to_owned()),
        ("matrix/clauses.toml", clauses.to_owned()),
    ])
}

/// Everything that a store says is shown as what it is, in each form, and nothing of it becomes markup, a formula or a command to
/// the terminal; what would be read in another order than it stands in is made visible.
#[test]
fn what_a_store_says_is_never_markup() {
    let store = hostile();
    let outs = FORMATS.map(|format| report(store.path(), format, &NO_SOLVER).with(0).out);
    for out in &outs {
        let hidden = |found: &char| {
            found.is_control() && !"\n\r".contains(*found) || "\u{202e}\u{202c}\u{200b}".contains(*found)
        };
        assert_eq!(out.chars().find(hidden), None, "{out}");
        assert!(out.contains("⟨U+202E⟩"), "{out}");
    }
    let [text, markdown, csv, html] = outs;
    assert!(text.contains("⟨U+001B⟩[31mred") && text.contains("<script>alert('1')</script>"), "{text}");

    let allowed = Regex::new(r#"<!-- -->|<a id="[rcp]\d+"></a>"#).unwrap();
    let fence = Regex::new(r"(?ms)^(`{3,})\w+\n.*?\n`{3,}$").unwrap();
    let prose = fence.replace_all(&markdown, "").into_owned();
    let code = Regex::new("(`+) ?[^`].*?[^`] ?`+").unwrap();
    for line in prose.lines() {
        let rest = allowed.replace_all(line, "").into_owned();
        assert!(!code.replace_all(&rest, "").contains('<'), "{line}");
        if line.starts_with('|') && !line.starts_with("|  |") {
            let cells = line.replace("\\\\", "").replace("\\|", "").matches('|').count();
            assert!([3, 4, 5, 9].contains(&cells), "{cells}: {line}");
        }
    }
    assert!(!prose.contains("@octocat") && prose.contains("\\[x\\](javascript"), "{prose}");

    let rows = records(&csv);
    assert_eq!(rows.len(), 3);
    assert_eq!(
        (&*rows[0]["table"], &*rows[0]["row"], &*rows[0]["cell"]),
        ("'=1+1|<i>table</i>", "'+cmd `x` \\ | y", "'-2 \"quoted\" 'single'")
    );
    assert_eq!(rows[0]["column"], "'@SUM(A1) <script>");
    assert!(
        csv.ends_with("\r\n")
            && csv.lines().next().unwrap().starts_with("row_number,table,row,column,cell,must,decided")
    );

    for markup in ["<script", "<img", "<i>", "<b>", "onerror=alert(1)>\"", "</style></pre>"] {
        assert!(!html.contains(markup), "{markup}");
    }
    assert!(html.contains("&lt;script&gt;alert('1')&lt;/script&gt;"));
    links_lead_somewhere(&html);
    // Of two rows in one cell, both can be reached, and both texts are there.
    assert!(html.contains("another") && Regex::new(r##"href="#row-a-2".*?href="#row-a-3""##).unwrap().is_match(&html));
}

/// The records of a CSV file, by the names of their columns.
fn records(csv: &str) -> Vec<std::collections::HashMap<String, String>> {
    ::csv::Reader::from_reader(csv.as_bytes()).deserialize().map(|row| row.unwrap()).collect()
}

/// Every `href` leads to one place in the page, no `id` stands twice, no attribute does in one element, and nothing is fetched.
fn links_lead_somewhere(html: &str) {
    let found = |pattern: &str| -> Vec<String> {
        let pattern = Regex::new(pattern).unwrap();
        pattern.captures_iter(html).map(|found| found[1].to_owned()).collect()
    };
    let ids = found(r#" id="([^"]*)""#);
    let unique: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(ids.len(), unique.len(), "an id stands twice");
    for place in found(r##" href="#([^"]*)""##).iter().chain(&found(r#" aria-labelledby="([^"]*)""#)) {
        assert!(unique.contains(place), "nothing has the id {place}");
    }
    assert_eq!(found(r#" href="([^#"][^"]*)""#), [""; 0]);
    let tags = found(r"(<[^>]*>)").concat();
    for reference in [" src=", " srcset=", "<link", "<script", "<img", "<iframe", "<object", " style=", " on"] {
        assert!(!tags.contains(reference), "{reference}");
    }
    let style = found(r"(?s)<style>(.*?)</style>").concat();
    assert!(style.contains("@media print") && !style.contains("url(") && !style.contains("@import"));
    for tag in found(r"<(\w[^<>]*)>") {
        let names: Vec<&str> = tag.split("=\"").filter_map(|part| part.rsplit([' ', '"']).next()).collect();
        let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
        assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len(), "{tag}");
    }
}

/// "a click or an anchor from a cell to the row, the clause, the policies that decide it and the proof": "no external resource".
#[test]
fn every_link_of_the_page_leads_somewhere_and_nothing_is_fetched() {
    let broken = with_a_flipped_condition();
    let pages = [
        built_in("html", &NO_SOLVER).with(0).out,
        report(&documents(), "html", &NO_SOLVER).with(0).out,
        report(broken.path(), "html", &NO_SOLVER).with(1).out,
    ];
    for page in &pages {
        links_lead_somewhere(page);
        assert!(page.contains("default-src 'none'") && !page.contains("http://") && !page.contains("https://"));
    }
    let cells = pages[0].matches("<a class=\"cell\" href=\"#row-").count();
    assert_eq!(cells, 118, "each row of the built-in store is a cell of its own");
    // The clause's text stands in the row that the cell leads to.
    let (_, row) = pages[0].split_once("id=\"row-permissions-2\"").unwrap();
    assert!(row.split("</article>").next().unwrap().contains("Company Admins view and edit the details."));
}

/// `/report` "shows policies, so it is served only where the ceiling is `admin`".
#[test]
fn the_service_shows_the_report_only_to_those_who_may_have_all_reasons() {
    let server = Server::start(common::built_in(), Limits::default());
    let answer = server.get("/report");
    assert_eq!(answer.status, 403);
    assert!(answer.json().as_str().unwrap().contains("--max-reasons admin"));
    assert_eq!(server.post("/report", "{}").status, 405);
}

/// "for the running revision", and for no other: not while it is not made, and not once another revision decides.
#[test]
fn the_service_never_shows_the_report_on_another_revision() {
    let page = Arc::new(ReportPage::default());
    let server = Server::with_report(common::built_in(), open_limits(), Arc::clone(&page));
    let answer = server.get("/report");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2")));

    page.set(common::store("documents").revision(), Some("<!DOCTYPE html>another".to_owned()));
    assert_eq!(server.get("/report").status, 503);
    page.set(common::built_in().revision(), None);
    assert_eq!(server.get("/report").status, 500);

    page.set(common::built_in().revision(), Some("<!DOCTYPE html>its own".to_owned()));
    let answer = server.get("/report");
    assert_eq!((answer.status, answer.text.as_str()), (200, "<!DOCTYPE html>its own"));
    well_kept(&answer);
    let answer = server.send("HEAD", "/report", &[], "");
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    well_kept(&answer);
}

fn well_kept(answer: &Answer) {
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.header("content-security-policy").unwrap().contains("default-src 'none'"));
    assert_eq!(answer.header("gatepost-revision"), Some(common::built_in().revision().as_str()));
}

/// The service makes the page beside the decisions, without a solver too, and it is the page of the command.
#[test]
fn the_service_makes_the_page_of_the_command() {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--max-reasons", "admin"];
    let mut service = command(Path::new("."), &arguments);
    let serving = Serving::start(service.env("CVC5", NO_SOLVER[1]).env("SOURCE_DATE_EPOCH", "1794960000"));
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let agent = config.new_agent();
    let start = Instant::now();
    let page = loop {
        let mut response = agent.get(format!("http://{}/report", serving.address())).call().unwrap();
        match response.status().as_u16() {
            200 => break response.body_mut().read_to_string().unwrap(),
            status => assert_eq!(status, 503),
        }
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(page, built_in("html", &NO_SOLVER).with(0).out);
}

const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

/// "The HTML is opened in headless Chromium by a test that clicks a cell and reads the clause"; "usable with a keyboard"; "prints
/// well", "light and dark", and a phone does not scroll it sideways.
#[test]
#[ignore = "needs Chromium"]
fn a_reviewer_clicks_a_cell_and_reads_the_clause() {
    let place = tempfile::TempDir::new().unwrap();
    let file = place.path().join("report.html");
    let output = ["--output", file.to_str().unwrap()];
    built_in("html", &[output.as_slice(), &NO_SOLVER].concat()).with(0);
    let url = format!("file://{}", file.display());
    let (cell, row) = ("a.cell[href='#row-permissions-2']", "#row-permissions-2");
    let browser = Browser::start();
    let in_sight = |selector: &str| {
        browser.read(&format!(
            "(box => box.bottom > 0 && box.top < innerHeight)(document.querySelector(\"{selector} .clause\").getBoundingClientRect())"
        ))
    };
    browser.resize(1280, 900);
    browser.open(&url);
    assert_eq!(in_sight(row), false);
    assert!(
        browser.text(cell).contains("Yes")
            && browser.text(cell).contains("decided")
            && browser.text(cell).contains("not proven here")
    );
    browser.click(cell);
    assert_eq!(in_sight(row), true);
    assert!(browser.text(&format!("{row} .clause")).starts_with("Company Admins view and edit the details."));
    assert_ne!(browser.read(&format!("getComputedStyle(document.querySelector('{row}')).outlineStyle")), "none");
    browser.click(&format!("{row} .place a"));
    assert_eq!(browser.read("location.hash"), "#cell-R62");

    // With the keyboard: the first stop skips to the matrix, the next one is a cell.
    browser.open(&format!("{url}?again"));
    browser.press(TAB);
    assert_eq!(browser.read("document.activeElement.textContent"), "Skip to the matrix");
    browser.press(ENTER);
    browser.press(TAB);
    assert_eq!(browser.read("document.activeElement.className"), "cell");
    assert_ne!(browser.read("getComputedStyle(document.activeElement).outlineStyle"), "none");
    browser.press(ENTER);
    assert_eq!(browser.read("location.hash"), "#row-account-types-1");
    assert_eq!(in_sight("#row-account-types-1"), true);

    for (width, height) in [(360, 740), (768, 1024), (1280, 900)] {
        browser.resize(width, height);
        browser.open(&url);
        let widths =
            browser.read("[innerWidth, document.documentElement.scrollWidth - document.documentElement.clientWidth]");
        assert_eq!(widths, serde_json::json!([width, 0]), "the page scrolls sideways");
    }
    let paper = || browser.read("getComputedStyle(document.body).backgroundColor");
    browser.emulate("", "light");
    assert_eq!(paper(), "rgb(255, 255, 255)");
    browser.emulate("", "dark");
    assert_ne!(paper(), "rgb(255, 255, 255)");
    browser.emulate("print", "dark");
    assert_eq!(paper(), "rgb(255, 255, 255)", "paper is white");
    let shown =
        |selector: &str| browser.read(&format!("getComputedStyle(document.querySelector('{selector}')).display"));
    assert_eq!((shown(".contents"), shown(".signature")), ("none".into(), "grid".into()));
}
