//! What the servers that are written here share: the request, the answer, and how they listen. Those in `benches/peers` do too.

use axum::Router;
use axum::handler::Handler;
use axum::routing::post;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
pub struct Question {
    pub subject: Named<Subject>,
    pub action: Action,
    pub resource: Named<Resource>,
    pub context: Circumstances,
}

#[derive(Deserialize)]
pub struct Named<P> {
    pub r#type: String,
    pub id: String,
    pub properties: P,
}

#[derive(Deserialize)]
pub struct Subject {
    pub clearance: i64,
}

#[derive(Deserialize)]
pub struct Resource {
    pub level: i64,
    pub archived: bool,
}

#[derive(Deserialize)]
pub struct Action {
    pub name: String,
}

#[derive(Deserialize)]
pub struct Circumstances {
    pub secure: bool,
}

#[derive(Serialize)]
pub struct Answer {
    pub decision: bool,
}

/// Where they are asked.
pub const PATH: &str = "/access/v1/evaluation";

pub fn route<T: 'static, S: Clone + Send + Sync + 'static>(decide: impl Handler<T, S>) -> Router<S> {
    Router::new().route(PATH, post(decide))
}

/// Listens at a port that it says, for ever.
pub fn serve(routes: Router) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("listening on http://{}", listener.local_addr().unwrap());
        axum::serve(listener, routes).await.unwrap();
    });
}
