//! The requests for searches, and their answers (AuthZEN, section 8).

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};

use super::reading::{At, FromMember, JsonObject, object, read_whole, shape};
use super::requests::question;
use super::unread::UnreadMembers;
use super::{Action, BadRequest, Entity, Parents, ReasonContext, Reasons};
use crate::request::json::{Json, Members};
use crate::request::number::Number;
use crate::request::{Named, Question};

object! {
    /// A request for the subjects that may do something (section 8.4).
    pub struct SubjectSearchRequest<'a> {
        /// What is searched.
        "subject" => pub subject: Target<'a>,
        /// What is done.
        "action" => pub action: Action<'a>,
        /// What it is done to.
        "resource" => pub resource: Entity<'a>,
        /// The circumstances.
        #[schema(required = false, nullable)]
        "context" => pub context: JsonObject<'a>,
        /// Which part of the results is wanted.
        #[schema(required = false, nullable)]
        "page" => pub page: Page<'a>,
        /// How it is answered.
        #[schema(required = false, nullable)]
        "options" => pub options: SearchOptions,
    }
}

impl<'a> SubjectSearchRequest<'a> {
    /// The members of a body that are not read.
    pub fn unread(body: Members<'a>) -> UnreadMembers {
        UnreadMembers::of::<Self>(body)
    }

    /// Reads a body.
    ///
    /// # Errors
    ///
    /// A member that is missing or of a wrong type, and two members of one name anywhere.
    pub fn read(body: Members<'a>) -> Result<Self, BadRequest> {
        read_whole(body)
    }

    /// What it asks of each candidate.
    pub fn question(&self) -> Question<'a> {
        question(self.subject.named(), Some(self.action), self.resource.named(), self.context)
    }
}

object! {
    /// A request for the resources to which something may be done (section 8.5).
    pub struct ResourceSearchRequest<'a> {
        /// Who acts.
        "subject" => pub subject: Entity<'a>,
        /// What is done.
        "action" => pub action: Action<'a>,
        /// What is searched.
        "resource" => pub resource: Target<'a>,
        /// The circumstances.
        #[schema(required = false, nullable)]
        "context" => pub context: JsonObject<'a>,
        /// Which part of the results is wanted.
        #[schema(required = false, nullable)]
        "page" => pub page: Page<'a>,
        /// How it is answered.
        #[schema(required = false, nullable)]
        "options" => pub options: SearchOptions,
    }
}

impl<'a> ResourceSearchRequest<'a> {
    /// The members of a body that are not read.
    pub fn unread(body: Members<'a>) -> UnreadMembers {
        UnreadMembers::of::<Self>(body)
    }

    /// Reads a body.
    ///
    /// # Errors
    ///
    /// A member that is missing or of a wrong type, and two members of one name anywhere.
    pub fn read(body: Members<'a>) -> Result<Self, BadRequest> {
        read_whole(body)
    }

    /// What it asks of each candidate.
    pub fn question(&self) -> Question<'a> {
        question(self.subject.named(), Some(self.action), self.resource.named(), self.context)
    }
}

object! {
    /// A request for what may be done (section 8.6). An `action` that is sent with it is ignored.
    pub struct ActionSearchRequest<'a> passed_over ["action"] {
        /// Who acts.
        "subject" => pub subject: Entity<'a>,
        /// What it is done to.
        "resource" => pub resource: Entity<'a>,
        /// The circumstances.
        #[schema(required = false, nullable)]
        "context" => pub context: JsonObject<'a>,
        /// Which part of the results is wanted.
        #[schema(required = false, nullable)]
        "page" => pub page: Page<'a>,
        /// How it is answered.
        #[schema(required = false, nullable)]
        "options" => pub options: SearchOptions,
    }
}

impl<'a> ActionSearchRequest<'a> {
    /// The members of a body that are not read.
    pub fn unread(body: Members<'a>) -> UnreadMembers {
        UnreadMembers::of::<Self>(body)
    }

    /// Reads a body.
    ///
    /// # Errors
    ///
    /// A member that is missing or of a wrong type, and two members of one name anywhere.
    pub fn read(body: Members<'a>) -> Result<Self, BadRequest> {
        read_whole(body)
    }

    /// What it asks of each action.
    pub fn question(&self) -> Question<'a> {
        question(self.subject.named(), None, self.resource.named(), self.context)
    }
}

object! {
    /// What a search looks for: the entities of one type. An `id` that is sent with it is ignored.
    pub struct Target<'a> passed_over ["id"] {
        /// The name of the type. Of one that the schema does not know, nothing is found.
        "type" => pub type_name: &'a str,
        /// What the caller says of each of them: attribute by attribute, this stands over what is stored.
        #[schema(required = false, nullable)]
        "properties" => pub properties: JsonObject<'a>,
        /// Tags of each of them: key by key, these stand over what is stored.
        #[schema(required = false, nullable)]
        "tags" => pub tags: JsonObject<'a>,
        /// What each of them is in, beside what is stored, where its type takes that from a caller.
        #[schema(required = false, nullable)]
        "parents" => pub parents: Parents<'a>,
    }
}

object! {
    /// The options that mean something in a search; all others are not read.
    #[derive(Default)]
    pub struct SearchOptions {
        /// How much of the reasons is told, as far as the operator allows it.
        #[schema(required = false)]
        "reasons" => pub reasons: Option<Reasons>,
        /// Whether nothing is found where a member is sent that is not read.
        #[schema(required = false)]
        "strict" => pub strict: Option<bool>,
    }
}

impl<'a> Target<'a> {
    /// Any entity of the type, in the words of the engine: it has no id yet.
    fn named(&self) -> Named<'a> {
        Named {
            type_name: self.type_name,
            id: "",
            attributes: self.properties.0,
            tags: self.tags.0,
            parents: self.parents.0,
        }
    }
}

object! {
    /// Which part of the results is wanted (section 8.2.1).
    #[derive(Default)]
    pub struct Page<'a> {
        /// The `next_token` of the page before. With it, all else is as in the first request; the limit may be left out.
        #[schema(required = false, nullable, value_type = String)]
        "token" => pub token: Token<'a>,
        /// The most results that are wanted; a page may have fewer. 0 says nothing.
        #[schema(required = false, schema_with = whole_number)]
        "limit" => pub limit: Limit,
    }
}

/// The token of a page; an empty one, as the last page has it, is as none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Token<'a>(
    /// The token, never empty.
    pub Option<&'a str>,
);

impl<'a> FromMember<'a> for Token<'a> {
    fn from_member(json: &'a Json<'a>, at: At) -> Result<Self, BadRequest> {
        <&str>::from_member(json, at).map(|token| Self(Some(token).filter(|token| !token.is_empty())))
    }

    fn absent(_: At) -> Result<Self, BadRequest> {
        Ok(Self::default())
    }
}

/// The most results that a page shall have, if the caller says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit(
    /// The number, never 0; one that is larger than any page stands for the largest.
    pub Option<u64>,
);

/// Of any size: one that is larger than any page stands for the largest.
fn whole_number() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Integer, Type::Null])).minimum(Some(0))
}

impl Limit {
    /// A page without results would lead nowhere: 0 is as if nothing were said.
    fn of(limit: u64) -> Self {
        Self(Some(limit).filter(|limit| *limit > 0))
    }
}

impl<'a> FromMember<'a> for Limit {
    fn from_member(json: &'a Json<'a>, at: At) -> Result<Self, BadRequest> {
        let found = match json {
            Json::Long(number) => match u64::try_from(*number) {
                Ok(limit) => return Ok(Self::of(limit)),
                Err(_) => number.to_string(),
            },
            // A whole number however it is written: JSON does not tell `10` from `10.0`. What is too large becomes the largest.
            Json::Number(number) => match Number::parse(number).and_then(|number| number.to_count()) {
                Some(limit) => return Ok(Self::of(limit)),
                None => (*number).to_owned(),
            },
            other => other.kind().to_owned(),
        };
        Err(shape(format!("{at} must be a whole number that is not negative, but is {found}")))
    }

    fn absent(_: At) -> Result<Self, BadRequest> {
        Ok(Self::default())
    }
}

/// An answer to a search (section 8.3): of entities, or of actions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SearchResponse<T> {
    /// Where the results go on; it is there if these are not all, or if a part of them was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub page: Option<PageResponse>,
    /// What was found, in an order that stays the same.
    pub results: Vec<T>,
    /// Why nothing was found, where reasons were asked for and it is what the request lacks, or asks about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub context: Option<ReasonContext>,
}

/// Where the results of a search go on (section 8.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PageResponse {
    /// The `token` for the next page; empty if this is the last one.
    pub next_token: String,
    /// How many results this page has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub count: Option<usize>,
}

/// A subject or a resource that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FoundEntity {
    /// The name of its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its id.
    pub id: String,
}

/// An action that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FoundAction {
    /// Its name.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(text: &str, read: impl FnOnce(Members<'_>) -> Result<T, BadRequest>) -> Result<T, String>
    where
        T: 'static,
    {
        let Json::Object(members) = Json::parse(text.as_bytes(), 64).unwrap() else { panic!("{text}") };
        read(&members).map_err(|error| error.to_string())
    }

    /// A page as it is read: its token and its limit, or why not.
    fn page(text: &str) -> Result<(Option<String>, Option<u64>), String> {
        let entity = r#"{"type":"a","id":"b"}"#;
        read(&format!(r#"{{"subject":{entity},"resource":{entity}{text}}}"#), |body| {
            let page = ActionSearchRequest::read(body)?.page;
            Ok((page.token.0.map(str::to_owned), page.limit.0))
        })
    }

    #[test]
    fn rule_9_a_page_has_a_token_and_a_limit_or_not() {
        assert_eq!(page(""), Ok((None, None)));
        assert_eq!(page(r#","page":{}"#), Ok((None, None)));
        assert_eq!(page(r#","page":{"token":"","limit":0}"#), Ok((None, None)));
        assert_eq!(page(r#","page":{"token":null,"limit":null}"#), Ok((None, None)));
        assert_eq!(page(r#","page":null"#), Ok((None, None)));
        assert_eq!(page(r#","page":{"token":"x","limit":10.0,"other":[]}"#), Ok((Some("x".to_owned()), Some(10))));
        assert_eq!(page(r#","page":{"limit":1e300}"#), Ok((None, Some(u64::MAX))));
        for (sent, expected) in [
            (r#"[]"#, "`page` must be an object, but is an array"),
            (r#"{"token":1}"#, "`page.token` must be a string, but is a number"),
            (r#"{"limit":-3}"#, "`page.limit` must be a whole number that is not negative, but is -3"),
            (r#"{"limit":1.5}"#, "`page.limit` must be a whole number that is not negative, but is 1.5"),
            (r#"{"limit":"1"}"#, "`page.limit` must be a whole number that is not negative, but is a string"),
        ] {
            assert_eq!(page(&format!(r#","page":{sent}"#)), Err(expected.to_owned()), "{sent}");
        }
    }

    #[test]
    fn rule_7_the_id_of_the_target_is_ignored_and_its_properties_are_kept() {
        let body = r#"{"subject":{"type":"user","id":7,"properties":{"role":"admin"}},
            "action":{"name":"read"},"resource":{"type":"record","id":"1"}}"#;
        let kept = read(body, |body| {
            let subject = SubjectSearchRequest::read(body)?.subject;
            Ok((subject.type_name.to_owned(), subject.properties.0.len()))
        });
        assert_eq!(kept, Ok(("user".to_owned(), 1)));
        let body =
            r#"{"subject":{"type":"user","id":"a"},"action":{"name":"read"},"resource":{"type":"record","id":[]}}"#;
        assert_eq!(read(body, |body| ResourceSearchRequest::read(body).map(drop)), Ok(()));
    }

    #[test]
    fn rule_7_an_action_that_is_sent_with_an_action_search_is_ignored() {
        assert_eq!(page(r#","action":7"#), Ok((None, None)));
        let missing = page(r#","action":{"name":"read","name":"write"}"#);
        assert_eq!(missing, Err("`action` has an object with two members of one name".to_owned()));
    }

    #[test]
    fn rule_1_each_search_says_what_it_lacks() {
        let body = r#"{"subject":{"type":"user"},"resource":{"type":"record"}}"#;
        let errors = [
            read(body, |body| SubjectSearchRequest::read(body).map(drop)),
            read(body, |body| ResourceSearchRequest::read(body).map(drop)),
            read(body, |body| ActionSearchRequest::read(body).map(drop)),
        ];
        let expected = ["`action` is missing", "`subject.id` is missing", "`subject.id` is missing"];
        assert_eq!(errors.map(Result::unwrap_err), expected);
    }

    #[test]
    fn rules_7_and_9_a_reply_has_its_page_first_and_the_type_before_the_id() {
        let mut found = SearchResponse {
            page: Some(PageResponse { next_token: String::new(), count: None }),
            results: vec![FoundEntity { type_name: "user".to_owned(), id: "alice".to_owned() }],
            context: None,
        };
        let written = serde_json::to_string(&found).unwrap();
        assert_eq!(written, r#"{"page":{"next_token":""},"results":[{"type":"user","id":"alice"}]}"#);
        found.page = None;
        assert!(serde_json::to_string(&found).unwrap().starts_with(r#"{"results":"#));
    }
}
