//! "A policy author adds an account kind with its own row and permissions by editing files in a copy of the store and
//! `--store`, without touching Rust, and `check`, `test` and `serve` follow."

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::path::Path;

use common::binary::{Serving, command, gatepost};
use common::{ask, with};
use serde_json::json;

const POLICIES: &str = r#"
@id("reseller-needs-contact")
@source("table/reseller")
@reason("Support contact details are required of every reseller account.")
permit (
  principal is Portal,
  action == Action::"requireSupportContact",
  resource is Account
)
when { resource.kind == AccountKind::"reseller" };

@id("reseller-user-views")
@source("permission/reseller")
@reason("Account users of a reseller account may view its support contact.")
permit (
  principal is User,
  action == Action::"viewSupportContact",
  resource is Account
)
when
{
  principal.account == resource &&
  principal.role == Role::"accountUser" &&
  resource.kind == AccountKind::"reseller"
};
"#;

const ROWS: &str = r#"
@table("Contact details by account type")
@row("Reseller")
@column("Contact details required?")
@cell("Yes")
@source("table/reseller")
permit (
  principal is Portal,
  action == Action::"requireSupportContact",
  resource is Account
)
when { resource.kind == AccountKind::"reseller" };

@table("Permissions in the same account")
@row("Account user, reseller")
@column("View")
@cell("Yes")
@source("permission/reseller")
permit (
  principal is User,
  action == Action::"viewSupportContact",
  resource is Account
)
when
{
  principal.account == resource &&
  principal.role == Role::"accountUser" &&
  resource.kind == AccountKind::"reseller"
};
"#;

const CLAUSES: &str = r#"
[[clause]]
id = "table/reseller"
text = "A reseller account gives support contact details."

[[clause]]
id = "permission/reseller"
text = "Users of a reseller account see its support contact details."
"#;

fn edit(store: &Path, path: &str, change: impl FnOnce(String) -> String) {
    let path = store.join(path);
    let text = fs::read_to_string(&path).unwrap_or_default();
    fs::write(path, change(text)).unwrap();
}

#[test]
fn an_account_kind_is_added_without_touching_rust() {
    let folder = common::copy_of_built_in();
    let store = folder.path();

    // The row comes first, and says so: the schema knows no such kind.
    edit(store, "matrix/reseller.cedar", |_| ROWS.to_owned());
    let text = gatepost(store, &["check", "--store", "."]).with(1).out;
    assert!(text.contains("matrix/reseller.cedar:12") && text.contains(r#"AccountKind::"reseller""#), "{text}");

    // Now it does, but nobody has written down which statement of the document asks for it.
    edit(store, "schema/support-contact.cedarschema", |schema| {
        let changed = schema.replace(r#""managed"]"#, r#""managed", "reseller"]"#);
        assert_ne!(changed, schema);
        changed
    });
    let text = gatepost(store, &["check", "--store", "."]).with(1).out;
    assert!(text.contains("table/reseller"), "{text}");

    // The clauses are there, but no policy carries them out: the rows do not hold, and the request is shown.
    edit(store, "matrix/clauses.toml", |clauses| clauses + CLAUSES);
    gatepost(store, &["check", "--deny-warnings", "--store", "."]).with(0);
    let text = gatepost(store, &["test", "--store", "."]).with(1).out;
    assert!(text.contains("✗ matrix/reseller.cedar:2 Contact details by account type · Reseller"), "{text}");
    assert!(text.contains(r#""kind": "reseller""#) && text.contains("because nothing permits it"), "{text}");

    // A policy that is too generous is caught by a row that was there before.
    let generous = POLICIES.replace(r#"  principal.role == Role::"accountUser" &&"#, "");
    edit(store, "policies/reseller.cedar", |_| generous);
    let text = gatepost(store, &["test", "--store", "."]).with(1).out;
    assert!(text.contains("Permissions in the same account · Sales team · View"), "{text}");

    // The policies make it whole.
    edit(store, "policies/reseller.cedar", |_| POLICIES.to_owned());
    for arguments in [["check", "--deny-warnings"].as_slice(), &["fmt"], &["fmt", "--check"], &["test"]] {
        gatepost(store, &[arguments, &["--store", "."]].concat()).with(0);
    }
    let table = gatepost(store, &["test", "--store", "."]).with(0).out;
    assert!(table.lines().any(|line| line.contains("Reseller") && line.contains("✓ Yes")), "{table}");

    // And the service follows, while the binary's own store is as it was.
    let view = with(
        ask("User::ada", "viewSupportContact", "Account::acme"),
        json!({
            "subject": { "properties": { "role": "accountUser", "account": "acme" } },
            "resource": { "properties": {
                "kind": "reseller", "stage": "new", "supportedBy": "megaport", "provisionedServices": 0,
                "signUpEmail": "owner@acme.example",
            } },
            "options": { "reasons": "admin" },
        }),
    );
    let serve = ["serve", "--listen", "127.0.0.1:0", "--max-reasons", "admin", "--store", "."];
    let ask = |serving: Serving| serving.post("/access/v1/evaluation", &view);
    let (status, answer) = ask(Serving::start(&mut command(store, &serve)));
    assert_eq!((status, &answer["decision"]), (200, &json!(true)), "{answer}");
    assert!(answer["context"]["reason_admin"]["reseller-user-views"].is_string(), "{answer}");

    let (status, answer) = ask(Serving::start(&mut command(store, &serve[..5])));
    assert_eq!(status, 400, "{answer}");
    assert!(answer.as_str().unwrap().contains("resource.properties.kind"), "{answer}");
}
