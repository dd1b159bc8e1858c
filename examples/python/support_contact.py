"""The support-contact page of an account, for a signed-in user: which buttons it shows, by one batch request, and what
it says when the phone number that the user enters is refused. Python 3.9, with nothing but its standard library.

    python3 support_contact.py ROLE ACCOUNT-OF-THE-USER [PHONE]

GATEPOST_URL is where the service is, GATEPOST_TOKEN the token if it wants one. Exit 1: permissions were not checked.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import sys
import urllib.error
import urllib.request
import uuid
from typing import Any

URL = os.environ.get("GATEPOST_URL", "http://127.0.0.1:8180")
TOKEN = os.environ.get("GATEPOST_TOKEN")
SECONDS = 3
UNCHECKED = "Permissions cannot be checked at the moment, so nothing can be changed here. Please try again later."

BUTTONS = {
    "view": "viewSupportContact",
    "enter": "enterSupportContact",
    "edit": "editSupportContact",
    "delete": "deleteSupportContact",
    "order": "placeOrder",
}

# A page reads the account from its own database.
ACCOUNT = {
    "type": "Account",
    "id": "acme",
    "properties": {
        "kind": "direct",
        "stage": "new",
        "supportedBy": "megaport",
        "provisionedServices": 0,
        "signUpEmail": "owner@acme.example",
        "billingMarket": "AU",
    },
}


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """The service never sends one elsewhere, and the token must not go there."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Unchecked(Exception):
    """The service gave no decision. Whoever catches this must not allow anything."""


def buttons_of(user: dict[str, Any]) -> list[str]:
    """The buttons that the page shows to that user."""
    # Whether a contact may be entered depends on the contact too. The one that the form shows as its placeholder is in
    # order, so the answer is about the user and the account.
    placeholder = {"phone": "(02) 9374 4000", "email": "owner@acme.example"}
    evaluations = [{"action": {"name": action}} for action in BUTTONS.values()]
    question = {"subject": user, "resource": ACCOUNT, "context": placeholder, "evaluations": evaluations}
    decisions = ask("/access/v1/evaluations", question).get("evaluations")
    # They are in the order of the questions, so fewer of them could not be told apart.
    if not isinstance(decisions, list) or len(decisions) != len(BUTTONS):
        raise Unchecked("the batch was not answered in full")
    return [button for button, decision in zip(BUTTONS, decisions) if allows(decision)]


def why_refused(user: dict[str, Any], contact: dict[str, str]) -> list[str]:
    """The sentences to show where that user may not enter that contact; none if it is fine."""
    question = {
        "subject": user,
        "action": {"name": "enterSupportContact"},
        "resource": ACCOUNT,
        "context": contact,
        "options": {"reasons": "user"},
    }
    answer = ask("/access/v1/evaluation", question)
    if allows(answer):
        return []
    reasons = member(member(answer, "context"), "reason_user")
    # What `gatepost:…` says is about the request, and not for users.
    told = [reason for policy, reason in reasons.items() if not policy.startswith("gatepost:")]
    return told or ["This is not allowed."]


def member(answer: dict[str, Any], name: str) -> dict[str, Any]:
    """That member if it is an object, else an empty one."""
    value = answer.get(name)
    return value if isinstance(value, dict) else {}


def allows(decision: Any) -> bool:
    """Only `true` is an allow: nothing else that is truthy, and nothing that is missing."""
    return isinstance(decision, dict) and decision.get("decision") is True


def ask(path: str, question: dict[str, Any]) -> dict[str, Any]:
    """The answer of the service. Raises `Unchecked`, and logs why, where there is none."""
    request_id = str(uuid.uuid4())
    headers = {"Content-Type": "application/json", "X-Request-ID": request_id}
    if TOKEN:
        headers["Authorization"] = f"Bearer {TOKEN}"
    request = urllib.request.Request(URL + path, json.dumps(question).encode(), headers)
    try:
        with urllib.request.build_opener(NoRedirects).open(request, timeout=SECONDS) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        problem = {
            400: "this program is wrong",
            401: "the service does not take the token in GATEPOST_TOKEN",
        }.get(error.code, f"status {error.code}")
        logging.error("request %s: %s: %s", request_id, problem, error.read(1000).decode(errors="replace"))
        raise Unchecked(problem) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        logging.error("request %s: no answer: %s", request_id, error)
        raise Unchecked("no answer") from error
    if not isinstance(answer, dict):
        raise Unchecked("the answer is no object")
    return answer


def main() -> int:
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    role, account, *phone = sys.argv[1:]
    # A page knows its user from the session.
    user = {"type": "User", "id": "ada", "properties": {"role": role, "account": account}}
    status = 0
    try:
        print("buttons:", *(buttons_of(user) or ["none"]))
    except Unchecked:
        print(f"buttons: none\nnotice: {UNCHECKED}")
        status = 1
    if phone:
        # The user presses "enter".
        try:
            refused = why_refused(user, {"phone": phone[0], "email": "support@acme.example"})
        except Unchecked:
            refused, status = [UNCHECKED], 1
        print("\n".join(f"refused: {sentence}" for sentence in refused) or f"saved: {phone[0]}")
    return status


if __name__ == "__main__":
    sys.exit(main())
