//! Many appends at once, whose fates are compared with what the stream holds afterwards.

use std::collections::BTreeSet;

use crate::client::{Answer, Client};

/// Sends an append of `fill` to `path` for each number, all at once, and gives back each answer with its line.
pub(crate) async fn appends(
    client: &Client,
    path: &str,
    numbers: std::ops::Range<usize>,
    fill: &str,
) -> Vec<(String, Answer)> {
    let mut tasks = tokio::task::JoinSet::new();
    for number in numbers {
        let (client, path, line) = (client.clone(), path.to_owned(), format!("{number} {fill}"));
        tasks.spawn(async move {
            let answer = client.append(&path, &line).await;
            (line, answer)
        });
    }
    tasks.join_all().await
}

/// No acknowledged line is missing, no refused one is present, none is there twice.
pub(crate) async fn assert_honest(client: &Client, path: &str, fates: &[(String, Answer)]) {
    let (mut at, mut text) = ("-1".to_owned(), String::new());
    loop {
        let answer = client.get(&format!("{path}?offset={at}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        text += &answer.text;
        if answer.headers.contains_key("stream-up-to-date") {
            break;
        }
        at = answer.headers["stream-next-offset"].to_str().unwrap().to_owned();
    }
    let present: Vec<&str> = text.lines().collect();
    let acknowledged: BTreeSet<&str> = fates.iter().filter(|(_, a)| a.is_ok()).map(|(line, _)| line.as_str()).collect();
    assert_eq!(present.len(), acknowledged.len(), "{} lines, {} acknowledged", present.len(), acknowledged.len());
    assert_eq!(present.into_iter().collect::<BTreeSet<_>>(), acknowledged);
}
