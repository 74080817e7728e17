//! A program that has the last word on who may do what: its commands and its readers ask.

use hyper::Method;
use reveille::Server;
use reveille::reveille_core::permission::{Authorise, Permission, Resource};
use serde_json::json;

use crate::client::Client;

const ALICE: &str = "user:alice";
const BOB: &str = "user:bob";

#[tokio::test(flavor = "multi_thread")]
async fn what_the_program_says_holds_and_what_it_leaves_is_as_decided() {
    let directory = tempfile::tempdir().unwrap();
    let authorise = Authorise::new(|question| match (question.resource, question.permission) {
        (Resource::Entity("/t/closed"), _) => Some(false),
        (Resource::Entity("/t/open"), Permission::Read) => Some(true),
        (Resource::Entity("/t/broken"), _) => panic!("it does not know"),
        (Resource::Registration(_), _) => Some(question.by.to_string() == BOB),
        _ => None,
    });
    let server = Server::dev().port(0).data_dir(directory.path()).authorise(authorise).start().await.unwrap();
    let client = Client::new(server.url());
    let ask = async |method: Method, path: String, by: &str, body: serde_json::Value| {
        let headers = [("electric-principal", by), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        client.request(method, &path, &headers, &body).await.status
    };

    let user = json!([{ "subject_kind": "principal_kind", "subject_value": "user", "permission": "spawn" }]);
    let kind = json!({ "name": "t", "description": "d", "permission_grants": user });
    for (by, status) in [(ALICE, 401), (BOB, 201)] {
        assert_eq!(ask(Method::POST, "/_electric/entity-types".into(), by, kind.clone()).await, status, "{by}");
    }
    for (id, hers, his) in [("closed", 401, 401), ("open", 200, 200), ("broken", 401, 401), ("hers", 200, 401)] {
        let path = format!("/_electric/entities/t/{id}");
        assert_eq!(ask(Method::PUT, path.clone(), ALICE, json!({})).await, 201);
        for (by, status) in [(ALICE, hers), (BOB, his), ("system:dev-local", 200)] {
            for path in [path.clone(), format!("/t/{id}/main?offset=-1")] {
                assert_eq!(ask(Method::GET, path.clone(), by, json!(null)).await, status, "{path} by {by}");
            }
        }
    }
    let send = "/_electric/entities/t/open/send";
    assert_eq!(ask(Method::POST, send.into(), BOB, json!({ "payload": 1 })).await, 401);
    server.shutdown().await;
}
