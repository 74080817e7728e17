//! Registration of entity types.

use reveille_tests::Result;
use reveille_tests::client::Ask;
use reveille_tests::server::Server;
use serde_json::json;

/// Registers a type whose entities are woken at `webhook`, or not at all.
pub(crate) async fn register(server: &Server, name: &str, webhook: Option<&str>) -> Result<()> {
    let mut body = json!({ "name": name, "description": "of the benchmark" });
    if let Some(url) = webhook {
        let target = json!({ "type": "webhook", "url": url, "subscription_id": name });
        body["default_dispatch_policy"] = json!({ "targets": [target] });
    }
    server.connect().await?.expect(Ask::post("/_electric/entity-types", &body)).await.map(drop)
}
