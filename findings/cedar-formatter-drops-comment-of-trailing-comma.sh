#!/usr/bin/env bash
# @cedar-policy/cedar-wasm 4.13.0 (npm): `formatPolicies` keeps the comment behind each element of a list, but not the one behind the comma
# that ends the list. The comma goes, and the comment with it.
# Expected: a formatter that keeps comments keeps this one, or refuses.
# Seen: `// second` is gone, and the call says `success`.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm install --silent --no-audit --no-fund --prefix . @cedar-policy/cedar-wasm@4.13.0
cat > try.cjs <<'JS'
const cedar = require('@cedar-policy/cedar-wasm/nodejs');
const policyText = `permit(principal, action in [
  Action::"a", // first
  Action::"b", // second
], resource);`;
const formatted = cedar.formatPolicies({ policyText, lineWidth: 80, indentWidth: 2 });
const has = (comment) => formatted.formatted_policy.includes(comment);
console.log(formatted.type, has('// first'), has('// second'));
JS
seen=$(node try.cjs)
echo "$seen"
[ "$seen" = 'success true false' ] || { echo "changed"; exit 1; }
