//! What is stored and sent, as Cedar's own JSON: translated by the model of the schema, without a line of what is tested.

use std::collections::BTreeMap;

use cedar_policy::{Authorizer, Context, Decision, Entities, Entity, PolicySet, Request, Schema};
use gatepost::store::schema::{Extension, RecordShape, Shape};
use serde_json::{Map, Value, json};

use crate::schemas::Model;

/// Plain Cedar, and what is stored.
pub struct Plain<'m> {
    model: &'m Model,
    policies: PolicySet,
    entities: Entities,
    /// The stored entities as they are written, by their types and ids.
    stored: BTreeMap<(String, String), Value>,
}

/// What must come of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Expected {
    /// Something that the schema requires is neither sent nor stored: a denial.
    Missing,
    /// A policy could not be evaluated: a denial.
    Failed,
    /// Cedar's decision.
    Decided(bool),
}

impl Expected {
    pub fn allows(&self) -> bool {
        *self == Self::Decided(true)
    }
}

impl<'m> Plain<'m> {
    /// Of a schema, policies and stored entities as they are written.
    pub fn new(model: &'m Model, schema: &str, policies: &str, entities: &str) -> Self {
        let (schema, _) = Schema::from_cedarschema_str(schema).unwrap();
        let written: Vec<Value> = serde_json::from_str(entities).unwrap();
        let plain: Vec<Value> = written.iter().map(|entity| plain_entity(model, entity)).collect();
        let entities = Entities::from_json_value(plain.into(), None).unwrap();
        let actions = schema.action_entities().unwrap();
        let entities = entities.add_entities(actions.iter().cloned(), None).unwrap();
        let stored = written.into_iter().map(|entity| (key(&entity["uid"]), entity)).collect();
        Self { model, policies: policies.parse().unwrap(), entities, stored }
    }

    /// What Cedar decides on a request as it is sent.
    pub fn expected(&self, body: &Value) -> Expected {
        let (subject, resource) = (&body["subject"], &body["resource"]);
        let name = body["action"]["name"].as_str().unwrap();
        let environment = self.model.environments.iter().find(|environment| {
            let id: &str = environment.action.id().as_ref();
            environment.principal_type.full_name == subject["type"].as_str().unwrap()
                && environment.resource_type.full_name == resource["type"].as_str().unwrap()
                && (id == name || environment.action_name == name)
        });
        let environment = environment.unwrap();
        let said = [(subject, &environment.principal_type), (resource, &environment.resource_type)]
            .map(|(said, of)| (self.laid_over(said), of));
        let mut context = members(&body["context"]);
        if let (Some(Shape::Record(_)), Value::Object(properties)) =
            (environment.context.0.get("action").map(|field| &field.shape), &body["action"]["properties"])
            && !properties.is_empty()
        {
            let action = context.entry("action").or_insert_with(|| json!({}));
            action.as_object_mut().unwrap().extend(properties.clone());
        }
        let is_lacking = said.iter().any(|(said, of)| lacks(&of.attributes, &said["attrs"]));
        if is_lacking || lacks_in_record(&environment.context, &context) {
            return Expected::Missing;
        }
        let said = said.map(|(said, _)| Entity::from_json_value(plain_entity(self.model, &said), None).unwrap());
        let [principal, resource] = [said[0].uid(), said[1].uid()];
        let entities = self.entities.clone().upsert_entities(said, None).unwrap();
        let context = Context::from_json_value(plain_record(&environment.context, &context), None).unwrap();
        let request = Request::new(principal, environment.action.clone(), resource, context, None).unwrap();
        let response = Authorizer::new().is_authorized(&request, &self.policies, &entities);
        match response.diagnostics().errors().next() {
            Some(_) => Expected::Failed,
            None => Expected::Decided(response.decision() == Decision::Allow),
        }
    }

    /// The entity as it is written in a file, what is said of it laid over what is stored.
    fn laid_over(&self, said: &Value) -> Value {
        let stored = self.stored.get(&key(said));
        let laid = |stored: &str, sent: &str| {
            let mut members = self.stored.get(&key(said)).map(|entity| members(&entity[stored])).unwrap_or_default();
            members.extend(self::members(&said[sent]).into_iter().filter(|(_, value)| !value.is_null()));
            members
        };
        let parents = stored.map_or(&said["parents"], |entity| &entity["parents"]);
        let parents = if parents.is_null() { json!([]) } else { parents.clone() };
        let uid = json!({ "type": said["type"], "id": said["id"] });
        json!({ "uid": uid, "attrs": laid("attrs", "properties"), "tags": laid("tags", "tags"), "parents": parents })
    }
}

fn key(uid: &Value) -> (String, String) {
    (uid["type"].as_str().unwrap().to_owned(), uid["id"].as_str().unwrap().to_owned())
}

fn members(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// Whether a value lacks what its shape requires, at any depth.
fn lacks_in(shape: &Shape, value: &Value) -> bool {
    match shape {
        Shape::Record(record) => lacks(record, value),
        Shape::Set(element) => value.as_array().unwrap().iter().any(|value| lacks_in(element, value)),
        _ => false,
    }
}

fn lacks(shape: &RecordShape, value: &Value) -> bool {
    lacks_in_record(shape, &members(value))
}

fn lacks_in_record(RecordShape(fields): &RecordShape, members: &Map<String, Value>) -> bool {
    fields.iter().any(|(name, field)| match members.get(name.as_str()) {
        None | Some(Value::Null) => field.required,
        Some(value) => lacks_in(&field.shape, value),
    })
}

fn plain_entity(model: &Model, written: &Value) -> Value {
    let name: cedar_policy::EntityTypeName = written["uid"]["type"].as_str().unwrap().parse().unwrap();
    let of = &model.entities[&name];
    let mut plain = json!({
        "uid": written["uid"],
        "attrs": plain_record(&of.attributes, &members(&written["attrs"])),
        "parents": written["parents"],
    });
    if let Some(shape) = &of.tags {
        let tags = members(&written["tags"]).into_iter().map(|(key, tag)| (key, plain_value(shape, &tag)));
        plain["tags"] = tags.collect::<Map<_, _>>().into();
    }
    plain
}

/// What the shape declares; null is as if absent.
fn plain_record(RecordShape(fields): &RecordShape, members: &Map<String, Value>) -> Value {
    let present = fields.iter().filter_map(|(name, field)| {
        let value = members.get(name.as_str()).filter(|value| !value.is_null())?;
        Some((name.to_string(), plain_value(&field.shape, value)))
    });
    present.collect::<Map<_, _>>().into()
}

fn plain_value(shape: &Shape, value: &Value) -> Value {
    match shape {
        Shape::Bool | Shape::Long | Shape::String => value.clone(),
        Shape::Entity(name) => {
            let id = if value.is_string() { value } else { &value["id"] };
            json!({ "__entity": { "type": name.to_string(), "id": id } })
        }
        Shape::Set(element) => value.as_array().unwrap().iter().map(|value| plain_value(element, value)).collect(),
        Shape::Record(record) => plain_record(record, value.as_object().unwrap()),
        Shape::Extension(extension) => {
            let function = match extension {
                Extension::Ip => "ip",
                Extension::Decimal => "decimal",
                Extension::Datetime => "datetime",
                Extension::Duration => "duration",
            };
            json!({ "__extn": { "fn": function, "arg": value } })
        }
        Shape::Parsed(_) => unreachable!("no schema here has plugins"),
    }
}
