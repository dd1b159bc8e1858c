#!/usr/bin/env bash
# @cedar-policy/cedar-wasm 4.13.0 (npm): an attribute that stands twice in a record of a schema is no error and no warning, with or without
# quotation marks, with another type or another optionality: the last one counts, and the annotations of the first are gone. An
# enumerated type may have an id twice too.
# Expected: an error, as for two common types or two entity types of one name, which is what the same parser gives.
# Seen: `pin` is an optional Long without annotations.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm install --silent --no-audit --no-fund --prefix . @cedar-policy/cedar-wasm@4.13.0
cat > try.cjs <<'JS'
const cedar = require('@cedar-policy/cedar-wasm/nodejs');
const twice = cedar.schemaToJson('entity U = { @doc("secret") pin: String, "pin"?: Long };');
console.log(twice.type, twice.warnings.length, JSON.stringify(twice.json[''].entityTypes.U.shape.attributes));
console.log(JSON.stringify(cedar.schemaToJson('entity E enum ["a", "a"];').json[''].entityTypes.E));
console.log(cedar.schemaToJson('entity U; entity U;').type);
JS
seen=$(node try.cjs)
echo "$seen"
[ "$seen" = 'success 0 {"pin":{"type":"EntityOrCommon","name":"Long","required":false}}
{"enum":["a","a"]}
failure' ] || { echo "changed"; exit 1; }
