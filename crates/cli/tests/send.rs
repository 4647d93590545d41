//! `millrace send` as a process, against a service made for the test.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper of a test fails with the test"
)]

#[path = "send/service.rs"]
mod service;

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use service::{Running, Service};

#[tokio::test]
async fn every_event_is_sent_once_however_often_the_service_is_unavailable() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("events.ndjson");
    write_events(&file, 1_000);
    let running = Running::start(Service {
        unavailable: 5,
        ..Service::default()
    })
    .await;
    let output = running
        .send(&["--batch", "100", "--api-key", "secret"], &file)
        .await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(counts(&output), [1_000, 1_000, 0, 0]);
    running.seen(|service| {
        assert_eq!(service.authorization.as_deref(), Some("Bearer secret"));
        assert_eq!(service.ids.len(), 1_000);
        assert!(
            service
                .bodies
                .iter()
                .any(|body| body.contains("\"total\":7.10")),
            "digits are kept"
        );
    });
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("readable").count(),
        1,
        "nothing is left"
    );

    let output = running.send(&["--batch", "77"], &file).await;
    assert_eq!(counts(&output), [1_000, 0, 1_000, 0]);
}

#[tokio::test]
async fn a_sending_that_failed_continues_where_it_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("events.ndjson");
    write_events(&file, 1_000);
    let service = Service {
        events_before_refusal: Some(400),
        ..Service::default()
    };
    let running = Running::start(service).await;
    let output = running
        .send(&["--batch", "50", "--concurrency", "1"], &file)
        .await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(counts(&output), [400, 400, 0, 0]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.contains("--resume") && text.contains("INGESTION_API_KEY"),
        "{text}"
    );

    running.seen(|service| {
        service.events_before_refusal = None;
        service.bodies.clear();
    });
    let output = running.send(&["--resume"], &file).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(counts(&output), [1_000, 1_000, 0, 0]);
    running.seen(|service| {
        assert_eq!(service.ids.len(), 1_000);
        let sent: usize = service
            .bodies
            .iter()
            .map(|body| body.matches("purchase").count())
            .sum();
        assert_eq!(sent, 600, "what was answered is not sent again");
    });
    let output = running.send(&["--resume"], &file).await;
    assert_eq!(
        counts(&output),
        [1_000, 0, 1_000, 0],
        "nothing to continue: from the beginning"
    );
}

#[tokio::test]
async fn a_signal_keeps_progress_and_a_second_one_does_not_wait_for_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("events.ndjson");
    write_events(&file, 100);
    let service = Service {
        requests_before_silence: Some(3),
        ..Service::default()
    };
    let mut running = Running::start(service).await;
    let mut command = millrace(&running.url);
    let mut child = command
        .args(["--batch", "10", "--concurrency", "1"])
        .arg(&file)
        .spawn()
        .expect("runs");
    let id = child.id().expect("it runs");
    within(running.silence.recv())
        .await
        .expect("a request that is not answered");
    signal(id, "INT").await;
    let mut notes = BufReader::new(child.stderr.take().expect("piped")).lines();
    let note = within(notes.next_line())
        .await
        .expect("readable")
        .expect("a line");
    assert!(note.contains("stopping"), "{note}");
    signal(id, "TERM").await;
    let output = within(child.wait_with_output()).await.expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(counts(&output), [30, 30, 0, 0]);
    let note = within(notes.next_line())
        .await
        .expect("readable")
        .expect("a line");
    assert!(
        note.contains("--resume") && note.contains("SIGINT"),
        "{note}"
    );

    running.seen(|service| service.requests_before_silence = None);
    let output = running.send(&["--resume"], &file).await;
    assert_eq!(counts(&output), [100, 100, 0, 0]);
    running.seen(|service| assert_eq!(service.bodies.len(), 4, "{:?}", service.bodies));
}

#[tokio::test]
async fn rejected_events_are_told_with_their_lines_and_the_others_are_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("events.ndjson");
    let rejects = folder.path().join("rejects.ndjson");
    let input = [
        r#"{"event_id":"a","event_type":"purchase"}"#,
        "nonsense",
        r#"{"event_id":"b","event_type":"bad"}"#,
        r#"{"event_id":"c","event_type":"poison"}"#,
        r#"{"event_id":"d","event_type":"purchase"}"#,
    ];
    std::fs::write(&file, input.join("\n")).expect("writable");
    let running = Running::start(Service::default()).await;
    let options = [
        "--strict",
        "--show-rejects",
        "2",
        "--rejects",
        rejects.to_str().expect("text"),
    ];
    let output = running.send(&options, &file).await;
    assert_eq!(output.status.code(), Some(1), "strict");
    assert_eq!(counts(&output), [4, 2, 0, 3]);
    let shown = lines(&output);
    assert_eq!(shown.len(), 3, "two rejects and the summary");
    assert_eq!(
        (&shown[0]["line"], &shown[0]["reason"]),
        (&json!(2), &json!("invalid_json"))
    );
    let all = std::fs::read_to_string(&rejects).expect("written");
    let last: Value = serde_json::from_str(all.lines().last().expect("rejects")).expect("JSON");
    assert_eq!(
        last,
        json!({"line": 4, "event_id": "c", "reason": "invalid_request", "message": "as the test wants it"})
    );
    assert_eq!(all.lines().count(), 3);

    let output = running.send(&[], &file).await;
    assert!(output.status.success(), "not strict");
}

#[tokio::test]
async fn stdin_is_sent_like_a_file_and_cannot_be_continued() {
    let running = Running::start(Service::default()).await;
    let mut child = millrace(&running.url).spawn().expect("millrace runs");
    let mut stdin = child.stdin.take().expect("piped");
    tokio::io::AsyncWriteExt::write_all(&mut stdin, b"{}\n{}\n\n{}")
        .await
        .expect("room");
    drop(stdin);
    let output = child.wait_with_output().await.expect("it ends");
    assert_eq!(counts(&output), [3, 3, 0, 0]);

    let output = running.send(&["--resume"], Path::new("-")).await;
    assert_eq!(output.status.code(), Some(64));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("events.ndjson");
    write_events(&file, 1);
    let mut command = millrace("http://127.0.0.1:9");
    let output = command
        .args(["--give-up-after", "300ms"])
        .arg(&file)
        .output()
        .await
        .expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.contains("gave up after 300ms") && text.contains("--resume"),
        "{text}"
    );
}

#[tokio::test]
async fn bad_usage_is_said_in_one_line_that_names_the_option() {
    for (arguments, named) in [
        (&["--url", "ftp://x"][..], "INGESTION_URL"),
        (&["--batch", "501"], "--batch"),
        (&["--give-up-after", "300"], "--give-up-after"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        let output = command
            .arg("send")
            .args(arguments)
            .output()
            .await
            .expect("runs");
        assert_eq!(output.status.code(), Some(64));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(named) && text.lines().count() == 1, "{text}");
    }
}

fn millrace(url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    command
        .args(["send", "--url", url, "--json"])
        .env_remove("INGESTION_API_KEY");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The lines of stdout; the last is the summary.
fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    text.lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

fn counts(output: &Output) -> [u64; 4] {
    let all = lines(output);
    let summary = all
        .last()
        .unwrap_or_else(|| panic!("no summary: {output:?}"));
    ["sent", "accepted", "duplicate", "rejected"].map(|name| summary[name].as_u64().expect(name))
}

fn write_events(path: &Path, number: u32) {
    let line = |number| format!("{{\"event_type\":\"purchase\",\"total\":{number}.10}}\n");
    std::fs::write(path, (0..number).map(line).collect::<String>()).expect("writable");
}

async fn signal(id: u32, name: &str) {
    let mut kill = Command::new("bash");
    kill.args([
        "-c",
        r#"kill -s "$1" "$2" 2>/dev/null || true"#,
        "kill",
        name,
        &id.to_string(),
    ]);
    assert!(kill.status().await.expect("bash runs").success());
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .expect("it happens")
}
