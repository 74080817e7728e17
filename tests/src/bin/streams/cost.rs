//! Rows written and statements run by an append and by a read, from Reveille's answers. They are the same on every
//! machine.

use reveille_tests::Result;
use reveille_tests::client::Ask;
use reveille_tests::server::Server;
use serde_json::{Value as Json, json};

use crate::Setting;
use crate::message::path;
use crate::report::Report;

pub(crate) async fn measure(setting: &Setting, report: &mut Report) -> Result<()> {
    let data = setting.place.directory()?;
    let server = Server::start(&setting.place, data.path()).await?;
    let mut connection = server.connect().await?;
    let path = path("cost", 0);
    for (command, ask) in [
        ("create", Ask::put(path.clone(), &json!([]))),
        ("append of one message", Ask::post(path.clone(), &json!({ "n": 0 }))),
        ("append of ten messages", Ask::post(path.clone(), &Json::from(vec![0; 10]))),
        ("read", Ask::get(&path)),
        ("read at the tail", Ask::get(format!("{path}?offset=now"))),
    ] {
        report.costs.push(connection.expect(ask).await?.cost(command)?);
    }
    server.stop().await
}
