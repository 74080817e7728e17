//! The binary: what it prints, what it refuses, how it ends.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value as Json;

fn reveille(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reveille"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn output(args: &[&str]) -> Output {
    reveille(args).output().unwrap()
}

/// A server that has said that it is ready, and what it said.
fn start(directory: &Path) -> (Child, Json) {
    let mut child = reveille(&["dev", "--port", "0", "--data-dir", directory.to_str().unwrap()]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

#[test]
fn a_second_server_says_who_has_the_data_and_exits_with_2() {
    let directory = tempfile::tempdir().unwrap();
    let (mut first, ready) = start(directory.path());
    let second = output(&["dev", "--port", "0", "--data-dir", directory.path().to_str().unwrap()]);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(2), "{said}");
    assert!(said.contains(&first.id().to_string()) && said.contains(ready["ready"].as_str().unwrap()), "{said}");

    let pid = first.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(first.wait().unwrap().code(), Some(0));
    let (mut third, _) = start(directory.path());
    assert!(Command::new("kill").args(["-INT", &third.id().to_string()]).status().unwrap().success());
    assert_eq!(third.wait().unwrap().code(), Some(0));
}

#[test]
fn a_server_that_was_killed_leaves_no_lock_behind() {
    let directory = tempfile::tempdir().unwrap();
    let (mut first, _) = start(directory.path());
    first.kill().unwrap();
    first.wait().unwrap();
    let (mut second, ready) = start(directory.path());
    assert_eq!(ready["pid"], second.id());
    second.kill().unwrap();
    second.wait().unwrap();
}

#[test]
fn a_production_server_needs_to_know_its_callers() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let data = data.to_str().unwrap();
    let refused = output(&["serve", "--port", "0", "--data-dir", data]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("--api-keys") && said.contains("--trust-proxy-header"), "{said}");
    assert!(!Path::new(data).exists(), "nothing was made");

    let keys = directory.path().join("keys");
    std::fs::write(&keys, "hunter2 nobody\n").unwrap();
    let refused = output(&["serve", "--port", "0", "--data-dir", data, "--api-keys", keys.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("line 1") && !said.contains("hunter2"), "{said}");
}

#[test]
fn options_that_cannot_be_are_refused_in_words() {
    for (option, value, why) in [
        ("--allow-webhook", "http://10.0.0.1", "`http://10.0.0.1` is not HOST or HOST:PORT"),
        ("--allow-webhook", "fd00::1", "IPv6 address in brackets"),
        ("--stream-root", "v1/stream", "it begins with `/`"),
        ("--stream-root", "/_electric/x", "belongs to the server itself"),
        ("--long-poll", "-1", "a number of seconds"),
        ("--long-poll", "inf", "a number of seconds"),
    ] {
        let refused = output(&["dev", "--port", "0", "--data-dir", "/nowhere", &format!("{option}={value}")]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(option) && said.contains(why), "{said}");
    }
}

#[test]
fn help_teaches() {
    for (args, taught) in [
        (&["--help"][..], "reveille dev"),
        (&["dev", "--help"], "--virtual"),
        (&["serve", "--help"], "--trust-proxy-header x-authenticated-principal"),
        (&["dev", "--help"], "--stream-root <PATH>"),
        (&["serve", "--help"], "--allow-webhook agents.internal"),
        (&["dev", "--help"], "curl --cacert .reveille/https-certificate.pem"),
        (&["explain", "--help"], "REVEILLE_CACERT"),
        (&["run", "--help"], "-- ./agent.sh"),
    ] {
        let help = output(args);
        assert!(String::from_utf8_lossy(&help.stdout).contains(taught), "{args:?}");
    }
}

#[test]
fn nothing_secret_and_nothing_at_all_is_logged_of_a_quiet_server() {
    let directory = tempfile::tempdir().unwrap();
    let (mut server, _) = start(directory.path());
    assert!(Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap().success());
    let mut logged = String::new();
    server.stderr.take().unwrap().read_to_string(&mut logged).unwrap();
    server.wait().unwrap();
    assert!(logged.lines().all(|line| line.contains("stopping")), "{logged}");
}
