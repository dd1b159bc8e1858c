#!/usr/bin/env bash
# phonenumber 0.3.10 (crates.io): `Database::parse` and `Database::load` read libphonenumber's `PhoneNumberMetadata.xml`, but no XML declaration
# and no entity: with `<?xml …?>` at the front, or one `&amp;` in an address under `<references>`, which is passed over, all of the file is
# refused. Nor does it keep to what it reads: a comment in the middle of a pattern is an error too.
# Expected: XML 1.0 section 2.8, "XML documents should begin with an XML declaration"; sections 2.5 and 4.1.
# Seen: the plain text is read; with any of the three it is an `unhandled event`.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
cargo init --quiet --vcs none --name shown
cargo add --quiet phonenumber@=0.3.10
cat > src/main.rs <<'RUST'
use phonenumber::metadata::Database;
fn main() {
    let plain = r#"<phoneNumberMetadata><territories><territory id="AU" countryCode="61">
        <references><sourceUrl>https://example.org/?a=1</sourceUrl></references>
        <generalDesc><nationalNumberPattern>\d{9}</nationalNumberPattern></generalDesc>
        </territory></territories></phoneNumberMetadata>"#;
    let texts = [
        plain.to_owned(),
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{plain}"),
        plain.replace("a=1", "a=1&amp;b=2"),
        plain.replace("{9}", "<!-- nine --> {9}"),
    ];
    println!("{:?}", texts.map(|text| match Database::parse(text) {
        Ok(_) => "read".to_owned(),
        Err(error) => error.to_string().split(": ").take(2).collect::<Vec<_>>().join(": "),
    }));
}
RUST
seen=$(cargo run --quiet)
echo "$seen"
[ "$seen" = '["read", "metadata: unhandled event", "ignore: unhandled event", "text: unhandled event"]' ] || { echo "changed"; exit 1; }
