//! Registers the runners and spawns the entities.

use std::sync::Arc;

use reveille_tests::Result;
use reveille_tests::client::Ask;
use serde_json::json;
use tokio::task::JoinSet;

use crate::fleet::Fleet;
use crate::name::{Runner, TYPE, entity};

/// Makes all that there is before the first message. Entities go to the runners in turn.
pub(crate) async fn prepare(fleet: &Arc<Fleet>) -> Result<()> {
    let mut connection = fleet.server.connect().await?;
    let users = json!({ "subject_kind": "principal_kind", "subject_value": "user", "permission": "spawn" });
    let kind = json!({ "name": TYPE, "description": "of the fleet", "permission_grants": [users] });
    connection.expect(Ask::post("/_electric/entity-types", &kind)).await?;
    for runner in (0..fleet.size.runners).map(Runner) {
        let body = json!({ "id": runner.id(), "label": "of the fleet" });
        connection.expect(Ask::post("/_electric/runners", &body).by(&runner.principal())).await?;
    }
    let mut spawning = JoinSet::new();
    for first in 0..CONNECTIONS {
        spawning.spawn(spawn(Arc::clone(fleet), first));
    }
    while let Some(spawned) = spawning.join_next().await {
        spawned??;
    }
    Ok(())
}

async fn spawn(fleet: Arc<Fleet>, first: u64) -> Result<()> {
    let mut connection = fleet.server.connect().await?;
    for n in (first..fleet.size.entities).step_by(CONNECTIONS as usize) {
        let runner = Runner(n % fleet.size.runners);
        let policy = json!({ "targets": [{ "type": "runner", "runnerId": runner.id() }] });
        let body = json!({ "dispatch_policy": policy });
        connection.expect(Ask::put(entity(n), &body).by(&runner.principal())).await?;
    }
    Ok(())
}

const CONNECTIONS: u64 = 16;
