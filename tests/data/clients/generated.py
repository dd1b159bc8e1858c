"""Asks a service by the client that `openapi-python-client` makes of its `/openapi.json`: one decision, a batch, and searches."""

import json
import os
import pathlib

from client import Client
from client.api.default import evaluate, evaluate_many, search_actions, search_subjects
from client.models import (
    Action,
    ActionSearchRequest,
    ActionSearchResponse,
    BatchResponse,
    Entity,
    EntitySearchResponse,
    Evaluation,
    EvaluationRequest,
    EvaluationResponse,
    EvaluationsRequest,
    JsonObject,
    Options,
    Page,
    Reasons,
    Semantic,
    SubjectSearchRequest,
    Target,
)
from client.types import Unset

service = Client(base_url=os.environ["GATEPOST_URL"], raise_on_unexpected_status=True)
asked = json.loads(pathlib.Path(os.environ["GATEPOST_REQUEST"]).read_text())
ada = Entity(type_="User", id="ada", properties=JsonObject.from_dict(asked["subject"]["properties"]))
acme = Entity(type_="Account", id="acme", properties=JsonObject.from_dict(asked["resource"]["properties"]))
pricing = Action(name="viewPricing")

one = evaluate.sync(
    client=service,
    body=EvaluationRequest(
        subject=ada,
        action=Action(name="enterSupportContact"),
        resource=acme,
        context=JsonObject.from_dict({"phone": "(02) 9374 400", "email": "support@acme.example"}),
        options=Options(reasons=Reasons.USER),
    ),
)
assert isinstance(one, EvaluationResponse) and not one.decision
assert not isinstance(one.context, Unset) and not isinstance(one.context.reason_user, Unset)
print("one:", one.decision, *one.context.reason_user.additional_properties)

names = ["viewSupportContact", "placeOrder", "viewPricing"]
items = [Evaluation(action=Action(name=name)) for name in names]
for semantic in [Semantic.EXECUTE_ALL, Semantic.DENY_ON_FIRST_DENY]:
    options = Options(evaluations_semantic=semantic)
    batch = EvaluationsRequest(evaluations=items, subject=ada, resource=acme, options=options)
    many = evaluate_many.sync(client=service, body=batch)
    assert isinstance(many, BatchResponse)
    print("many:", *[answer.decision for answer in many.evaluations])

single = evaluate_many.sync(client=service, body=EvaluationRequest(subject=ada, action=pricing, resource=acme))
assert isinstance(single, EvaluationResponse)
print("one of many:", single.decision)

actions = search_actions.sync(client=service, body=ActionSearchRequest(subject=ada, resource=acme, page=Page(limit=2)))
assert isinstance(actions, ActionSearchResponse) and not isinstance(actions.page, Unset)
print("actions:", *[action.name for action in actions.results], bool(actions.page.next_token))

users = SubjectSearchRequest(subject=Target(type_="User"), action=pricing, resource=acme)
subjects = search_subjects.sync(client=service, body=users)
assert isinstance(subjects, EntitySearchResponse)
print("subjects:", *[subject.id for subject in subjects.results])

unclear = Entity(type_="Account", id="acme", properties=JsonObject.from_dict({"kind": 7}))
refused = evaluate.sync_detailed(
    client=service, body=EvaluationRequest(subject=ada, action=pricing, resource=unclear)
)
print("refused:", refused.status_code.value, refused.parsed)
