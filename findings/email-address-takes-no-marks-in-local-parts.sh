#!/usr/bin/env bash
# email_address 0.2.9 (crates.io): a local part outside ASCII can have letters and digits, but no combining marks and no symbols. So names in
# Hindi, Tamil, Thai, Khmer and Burmese, and decomposed Latin, are refused; composed Latin, of which nobody sees that it is another, is taken.
# The check for `UTF8-non-ascii` compares the octets of the code point (UTF-32) with those of its form in UTF-8, and so holds for hardly any.
# Expected: RFC 6531 section 3.3, `atext =/ UTF8-non-ascii`: each of these is a local part, and the crate's documentation cites it.
# Seen: composed é and Chinese are valid; all the others are `InvalidCharacter`.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
cargo init --quiet --vcs none --name shown
cargo add --quiet email_address@=0.2.9
cat > src/main.rs <<'RUST'
use email_address::EmailAddress;
fn main() {
    let words = ["jos\u{e9}", "jose\u{301}", "\u{7528}\u{6237}", "\u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940}", "\u{ba4}\u{bae}\u{bbf}\u{bb4}\u{bcd}",
        "\u{e1c}\u{e39}\u{e49}\u{e43}\u{e0a}\u{e49}", "\u{1781}\u{17d2}\u{1798}\u{17c2}\u{179a}", "\u{1019}\u{103c}\u{1014}\u{103a}\u{1019}\u{102c}", "5\u{20ac}"];
    println!("{:?}", words.map(|word| EmailAddress::is_valid(&format!("{word}@example.org"))));
}
RUST
seen=$(cargo run --quiet)
echo "$seen"
[ "$seen" = '[true, false, true, false, false, false, false, false, false]' ] || { echo "changed"; exit 1; }
