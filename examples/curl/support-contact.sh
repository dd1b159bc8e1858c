#!/usr/bin/env bash
# The support-contact page of an account, for a signed-in user: which buttons it shows, by one batch request, and what
# it says when the phone number that the user enters is refused. It needs nothing but bash and curl.
#
#   support-contact.sh ROLE ACCOUNT-OF-THE-USER [PHONE]
#
# GATEPOST_URL is where the service is, GATEPOST_TOKEN the token if it wants one. Exit 1: permissions were not checked.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: $0 ROLE ACCOUNT-OF-THE-USER [PHONE]" >&2; exit 2; }

unchecked='Permissions cannot be checked at the moment, so nothing can be changed here. Please try again later.'

# A JSON string. What people type holds quotes; control characters, which JSON does not take as they are, become spaces.
string() {
    local text=${1//\\/\\\\}
    text=${text//\"/\\\"}
    printf '"%s"' "${text//[[:cntrl:]]/ }"
}

# Asks, and prints the answer. Where there is none, it says why on standard error and fails: that is never an allow.
ask() { # PATH BODY
    local id answer status
    id="page-$(date +%s)-$$-$RANDOM"
    # The token comes as a file and the body on standard input: everybody on the machine can read a command line.
    answer=$(curl --silent --show-error --connect-timeout 1 --max-time 3 --write-out '\n%{http_code}' \
        --header 'Content-Type: application/json' --header "X-Request-ID: $id" \
        --config <(printf '%s' "${GATEPOST_TOKEN:+header = \"Authorization: Bearer $GATEPOST_TOKEN\"}") \
        --data-binary @- \
        "${GATEPOST_URL:-http://127.0.0.1:8180}$1" <<<"$2") || { echo "request $id: no answer" >&2; return 1; }
    status=${answer##*$'\n'}
    answer=${answer%$'\n'*}
    case $status in
        200) printf '%s' "$answer" ;;
        400) echo "request $id: this program is wrong: $answer" >&2; return 1 ;;
        401) echo "request $id: the service does not take the token in GATEPOST_TOKEN: $answer" >&2; return 1 ;;
        *) echo "request $id: status $status: $answer" >&2; return 1 ;;
    esac
}

# A page knows its user from the session, and the account from its own database. Here they are given.
subject='{"type":"User","id":"ada","properties":{"role":'$(string "$1")',"account":'$(string "$2")'}}'
resource='{"type":"Account","id":"acme","properties":{"kind":"direct","stage":"new","supportedBy":"megaport",
    "provisionedServices":0,"signUpEmail":"owner@acme.example","billingMarket":"AU"}}'
buttons=(view enter edit delete order)
actions=(viewSupportContact enterSupportContact editSupportContact deleteSupportContact placeOrder)
exit_status=0

# Whether a contact may be entered depends on the contact too. The one that the form shows as its placeholder is in
# order, so the answer is about the user and the account.
context='{"phone":"(02) 9374 4000","email":"owner@acme.example"}'
evaluations=$(printf ',{"action":{"name":"%s"}}' "${actions[@]}")
shown=() notice=
# Answers are compact, and have no reasons unless one asks for them: each has this form, or it is not understood.
form="^\{\"evaluations\":\[(,?\{\"decision\":(true|false)\}){${#actions[@]}}\]\}$"
batch='{"subject":'$subject',"resource":'$resource',"context":'$context',"evaluations":['${evaluations#,}']}'
if answer=$(ask /access/v1/evaluations "$batch") && [[ $answer =~ $form ]]; then
    # The decisions are in the order of the questions.
    decisions=($(grep -oE 'true|false' <<<"$answer"))
    for i in "${!buttons[@]}"; do
        [ "${decisions[i]}" != true ] || shown+=("${buttons[i]}")
    done
else
    notice=$unchecked exit_status=1
fi
echo "buttons: ${shown[*]:-none}"
[ -z "$notice" ] || echo "notice: $notice"

# The user presses "enter".
if [ $# -ge 3 ]; then
    context='{"phone":'$(string "$3")',"email":"support@acme.example"}'
    if ! answer=$(ask /access/v1/evaluation '{"subject":'"$subject"',"action":{"name":"enterSupportContact"},
        "resource":'"$resource"',"context":'"$context"',"options":{"reasons":"user"}}'); then
        echo "refused: $unchecked"
        exit_status=1
    elif [ "$answer" = '{"decision":true}' ]; then
        echo "saved: $3"
    else
        # "policy":"sentence", several times. What `gatepost:…` says is about the request, and not for users.
        sentences=$(grep -oE '"[^"]+":"([^"\\]|\\.)*"' <<<"$answer" | grep -v '^"gatepost:' |
            sed 's/^"[^"]*":"/refused: /; s/"$//; s/\\\(.\)/\1/g') || true
        echo "${sentences:-refused: This is not allowed.}"
    fi
fi
exit $exit_status
