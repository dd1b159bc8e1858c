#!/usr/bin/env bash
# rlibphonenumber 2.2.15 (crates.io), a port of Google's libphonenumber: a number of nothing but zeros loses those after the eleventh, so that
# +888 with twelve or more zeros is read as another number, with eleven, and is valid.
# Expected: libphonenumber's own `parse`, and its port to Python (phonenumbers 9.0.43 on PyPI): twelve zeros are a digit too many.
# Seen: `+88800000000000` for both, and valid.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
cargo init --quiet --vcs none --name shown
cargo add --quiet rlibphonenumber@=2.2.15
cat > src/main.rs <<'RUST'
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat};
fn main() {
    for text in ["+88800000000000", "+888000000000000", "+88811111111111", "+888111111111111"] {
        let number = PHONE_NUMBER_UTIL.parse(text, None).unwrap();
        let valid = PHONE_NUMBER_UTIL.is_valid_number(&number);
        println!("{text} {} {valid:?}", PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164));
    }
}
RUST
seen=$(cargo run --quiet)
echo "$seen"
python3 -m venv v && v/bin/pip --quiet --disable-pip-version-check install phonenumbers==9.0.43
expected=$(v/bin/python -c '
import phonenumbers as p
for text in ["+88800000000000", "+888000000000000"]:
    number = p.parse(text)
    print(text, p.format_number(number, p.PhoneNumberFormat.E164), p.is_valid_number(number))')
echo "$expected"
[ "$seen" = '+88800000000000 +88800000000000 true
+888000000000000 +88800000000000 true
+88811111111111 +88811111111111 true
+888111111111111 +888111111111111 false' ] && [ "$expected" = '+88800000000000 +88800000000000 True
+888000000000000 +888000000000000 False' ] || { echo "changed"; exit 1; }
