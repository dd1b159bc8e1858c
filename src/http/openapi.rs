//! `/openapi.json`: the API in OpenAPI 3.1, made of the types that read requests and write answers.
//!
//! It is the same whatever store is served. Its examples are files, next to the store that they are from (`openapi/`).

use std::sync::LazyLock;

use axum::http::StatusCode;
use axum::response::Response as HttpResponse;
use include_dir::{Dir, include_dir};
use serde::Deserialize;
use serde_json::Value;
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn, PathItem, PathsBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ComponentsBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Content, ContentBuilder, Header, HttpMethod, InfoBuilder, License, OpenApi, OpenApiBuilder, Paths, Ref, RefOr,
    Required, ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use super::authzen::{
    ActionSearchRequest, Evaluation, EvaluationRequest, EvaluationResponse, EvaluationsRequest, EvaluationsResponse,
    FoundAction, FoundEntity, ResourceSearchRequest, SearchResponse, SubjectSearchRequest,
};
use super::discovery::Metadata;
use super::readyz::Readiness;
use super::{json, paths};

static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(document);

/// Answers with the document.
pub(super) async fn openapi() -> HttpResponse {
    json(StatusCode::OK, &*DOCUMENT)
}

/// The document.
pub fn document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Gatepost")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(License::builder().name("Apache-2.0").identifier(Some("Apache-2.0")).build()));
    let anybody = SecurityRequirement::default();
    let schemes = [BEARER, MUTUAL_TLS].map(|scheme| SecurityRequirement::new(scheme, [""; 0]));
    OpenApiBuilder::new()
        .info(info)
        .paths(described_paths())
        .components(Some(components().build()))
        .security(Some([anybody].into_iter().chain(schemes)))
        .build()
}

const ABOUT: &str = "A policy decision service on Cedar, by the OpenID AuthZEN Authorization API 1.0. A deny is an answer and \
    no error: status 200, with `\"decision\": false`. What is no request is 400, and says why. Members that are not described \
    are not read, and are named in `Gatepost-Dropped`; or they are refused, where the operator or the request says so. Whether callers must be known, and how, is for the operator to say.";
const BEARER: &str = "bearer";
const MUTUAL_TLS: &str = "mutualTLS";

/// Answers to searches: types with a parameter have no name of their own in OpenAPI.
const FOUND_ENTITIES: &str = "EntitySearchResponse";
const FOUND_ACTIONS: &str = "ActionSearchResponse";
const MESSAGE: &str = "Message";

const RETRY_AFTER: &str = "Retry-After";
const WHEN: &str = "After how many seconds to ask again.";
const NOT_READ: &str =
    "What was sent and not read, each name percent-encoded: at most 20 in 1 kB, then `; more=` and how many more.";
const LACKS: &str = "What is missing in the context, so that nothing is found; written in the same way.";

fn described_paths() -> Paths {
    let one = (named::<EvaluationRequest<'_>>().into(), named::<EvaluationResponse>());
    let many = (EvaluationsRequest::body_schema().into(), named::<EvaluationsResponse>());
    let entities = Ref::from_schema_name(FOUND_ENTITIES);
    let subjects = (named::<SubjectSearchRequest<'_>>().into(), entities.clone());
    let resources = (named::<ResourceSearchRequest<'_>>().into(), entities);
    let actions = (named::<ActionSearchRequest<'_>>().into(), Ref::from_schema_name(FOUND_ACTIONS));
    let asked = [
        (paths::EVALUATION, "evaluate", "One decision", one),
        (paths::EVALUATIONS, "evaluateMany", "Many decisions", many),
        (paths::SUBJECT_SEARCH, "searchSubjects", "Which subjects may do it", subjects),
        (paths::RESOURCE_SEARCH, "searchResources", "To which resources it may be done", resources),
        (paths::ACTION_SEARCH, "searchActions", "What may be done", actions),
    ];
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let metadata = answer(named::<Metadata<'_>>()).header("Cache-Control", header("For how long this can be kept."));
    let discover = operation("discover", "Where the service is, and what it can do").response("200", metadata);
    let readiness = || answer(named::<Readiness>()).header(REVISION, revision());
    let unready = readiness().description("No decision is made now.").header(RETRY_AFTER, header(WHEN));
    let ready = operation("ready", "Whether it can decide").response("200", readiness()).response("503", unready);
    // Its examples tell about the policies of the store that is compiled in.
    let describe = operation("describe", "This document").response("200", answer(any_object()));
    let describe = describe.response("401", Ref::from_response_name("Unauthorized"));
    let told = [
        (paths::DISCOVERY, discover.response("404", Ref::from_response_name("NotFound"))),
        (paths::HEALTHZ, operation("live", "Whether the process runs").response("200", answer(text()))),
        (paths::READYZ, ready),
        (paths::REPORT, report()),
        (paths::METRICS, metrics()),
        (paths::OPENAPI, describe),
    ];
    let posts = asked.into_iter().map(|(path, id, summary, (request, reply))| {
        (path, HttpMethod::Post, asks(operation(id, summary), path, request, reply))
    });
    let gets = told.into_iter().map(|(path, operation)| (path, HttpMethod::Get, operation));
    let described = posts.chain(gets).fold(PathsBuilder::new(), |paths, (path, method, operation)| {
        paths.path(path, PathItem::new(method, operation))
    });
    described.build()
}

/// What all operations have.
fn operation(id: &str, summary: &str) -> OperationBuilder {
    let request_id = ParameterBuilder::new()
        .name(REQUEST_ID)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("Comes back with the answer."))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)));
    let refusals = [("405", "MethodNotAllowed"), ("421", "MisdirectedRequest"), ("500", "InternalServerError")];
    let operation = OperationBuilder::new().operation_id(Some(id)).summary(Some(summary)).parameter(request_id);
    refusals
        .into_iter()
        .fold(operation, |operation, (status, name)| operation.response(status, Ref::from_response_name(name)))
}

/// The same operation, which asks with a body.
fn asks(operation: OperationBuilder, path: &str, request: RefOr<Schema>, reply: Ref) -> OperationBuilder {
    let requests = examples(path, |example| &example.request);
    let request = ContentBuilder::new().schema(Some(request)).examples_from_iter(requests).build();
    let request = RequestBodyBuilder::new().content(JSON, request).required(Some(Required::True)).build();
    let replies = examples(path, |example| &example.response);
    let reply = ContentBuilder::new().schema(Some(reply)).examples_from_iter(replies).build();
    let reply = response("The answer.", JSON, reply).header(REVISION, revision()).header(DROPPED, header(NOT_READ));
    let reply = if paths::SEARCHES.contains(&path) { reply.header(MISSING, header(LACKS)) } else { reply };
    let refusals = [
        ("400", "BadRequest"),
        ("401", "Unauthorized"),
        ("403", "Forbidden"),
        ("408", "RequestTimeout"),
        ("413", "ContentTooLarge"),
        ("415", "UnsupportedMediaType"),
        ("503", "ServiceUnavailable"),
    ];
    let operation = operation.request_body(Some(request)).response("200", reply);
    refusals
        .into_iter()
        .fold(operation, |operation, (status, name)| operation.response(status, Ref::from_response_name(name)))
}

/// An answer that needs no body to ask for it.
fn answer(reply: impl Into<RefOr<Schema>>) -> ResponseBuilder {
    response("The answer.", JSON, Content::new(Some(reply)))
}

fn any_object() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Object)
}

fn report() -> OperationBuilder {
    let page = Content::new(Some(ObjectBuilder::new().schema_type(Type::String)));
    let page = response("The page.", "text/html", page).header(REVISION, revision());
    operation("report", "The permission matrix, as the document that a reviewer signs")
        .response("200", page)
        .response("401", Ref::from_response_name("Unauthorized"))
        .response("403", Ref::from_response_name("Forbidden"))
        .response("503", Ref::from_response_name("ServiceUnavailable"))
}

fn metrics() -> OperationBuilder {
    let text = Content::new(Some(ObjectBuilder::new().schema_type(Type::String)));
    let text = response("The metrics, in the text format of Prometheus.", "text/plain", text);
    operation("metrics", "What is counted and measured")
        .response("200", text)
        .response("401", Ref::from_response_name("Unauthorized"))
        .response("403", Ref::from_response_name("Forbidden"))
}

fn response(description: &str, content_type: &str, content: Content) -> ResponseBuilder {
    let request_id = header("The one that came with the request, or a new one.");
    let replaced = header("Why it is a new one though one came.");
    let response = ResponseBuilder::new().description(description).content(content_type, content);
    response.header(REQUEST_ID, request_id).header(REPLACED, replaced)
}

fn refusal(description: &str) -> ResponseBuilder {
    response(description, JSON, Content::new(Some(Ref::from_schema_name(MESSAGE))))
}

fn revision() -> Header {
    header("The revision of the store that decided.")
}

fn header(description: &str) -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String);
    HeaderBuilder::new().schema(Some(text)).description(Some(description)).build()
}

fn components() -> ComponentsBuilder {
    let message = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
    let message = message.description(Some("What is wrong, in a sentence."));
    let bearer = Http::builder().scheme(HttpAuthScheme::Bearer).build();
    let certificate = SecurityScheme::MutualTls { description: None, deprecated: None, extensions: None };
    let mut schemas = Vec::new();
    with_schema::<EvaluationRequest<'_>>(&mut schemas);
    with_schema::<EvaluationsRequest<'_>>(&mut schemas);
    with_schema::<Evaluation<'_>>(&mut schemas);
    with_schema::<EvaluationResponse>(&mut schemas);
    with_schema::<EvaluationsResponse>(&mut schemas);
    with_schema::<SubjectSearchRequest<'_>>(&mut schemas);
    with_schema::<ResourceSearchRequest<'_>>(&mut schemas);
    with_schema::<ActionSearchRequest<'_>>(&mut schemas);
    with_schema::<Metadata<'_>>(&mut schemas);
    with_schema::<Readiness>(&mut schemas);
    with_schema::<FoundEntity>(&mut schemas);
    with_schema::<FoundAction>(&mut schemas);
    SearchResponse::<FoundEntity>::schemas(&mut schemas);
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .schema(FOUND_ENTITIES, SearchResponse::<FoundEntity>::schema())
        .schema(FOUND_ACTIONS, SearchResponse::<FoundAction>::schema())
        .schema(MESSAGE, message)
        .security_scheme(BEARER, SecurityScheme::Http(bearer))
        .security_scheme(MUTUAL_TLS, certificate);
    refusals().into_iter().fold(components, |components, (name, response)| components.response(name, response))
}

fn refusals() -> [(&'static str, ResponseBuilder); 11] {
    let with = |response: ResponseBuilder, name: &str, about: &str| response.header(name, header(about));
    let unknown = with(refusal("The caller is not known."), "WWW-Authenticate", "How the caller can be known.");
    let method = with(refusal("The path takes another method."), "Allow", "The methods that it takes.");
    let later = with(refusal("Not now."), RETRY_AFTER, WHEN);
    [
        ("BadRequest", refusal("The body is no such request.").header(REVISION, revision())),
        ("Unauthorized", unknown),
        ("Forbidden", refusal("The caller may not have that.")),
        ("NotFound", refusal("There is nothing at this path.")),
        ("MethodNotAllowed", method),
        ("RequestTimeout", refusal("The body did not come in time.")),
        ("ContentTooLarge", refusal("The body has more bytes than the service takes.")),
        ("UnsupportedMediaType", refusal("The body is packed: it has a `Content-Encoding`.")),
        ("MisdirectedRequest", refusal("The header `Host` names another service.")),
        ("InternalServerError", refusal("The service failed; nothing is allowed by that.")),
        ("ServiceUnavailable", later),
    ]
}

fn named<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}

fn with_schema<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

const JSON: &str = "application/json";
const REQUEST_ID: &str = "X-Request-ID";
const REVISION: &str = "Gatepost-Revision";
const DROPPED: &str = "Gatepost-Dropped";
const MISSING: &str = "Gatepost-Missing";
const REPLACED: &str = "Gatepost-Request-Id-Replaced";

static EXAMPLES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/openapi");

/// A request to the store that is compiled in, and what it is answered.
#[derive(Deserialize)]
struct Exchange {
    path: String,
    summary: String,
    request: Value,
    response: Value,
}

/// One half of each exchange on that path, by the names of their files.
fn examples(path: &str, half: impl Fn(&Exchange) -> &Value) -> Vec<(String, Example)> {
    let mut files: Vec<_> = EXAMPLES.files().collect();
    files.sort_by_key(|file| file.path());
    let examples = files.into_iter().filter_map(|file| {
        // A test sees to it that each file is an exchange on a path of the document.
        let exchange: Exchange = serde_json::from_slice(file.contents()).ok()?;
        let name = file.path().file_stem()?.to_str()?.to_owned();
        let example = ExampleBuilder::new().summary(&exchange.summary).value(Some(half(&exchange).clone())).build();
        (exchange.path == path).then_some((name, example))
    });
    examples.collect()
}
