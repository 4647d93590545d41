//! `millrace feedback` against a real Redis and a real flusher.

use std::io::Write as _;
use std::time::Duration;

use common::topics::{FeedbackReactions, FeedbackReplies, Topic as _};
use serde_json::json;
use tempfile::TempDir;
use testkit::servers::{RedisDatabase, WorkerProcess, eventually, free_address};

use crate::events::bus;
use crate::millrace::Millrace;

const SOON: Duration = Duration::from_mins(1);

/// A flusher, the tool that knows its servers, and what they need.
struct Bench {
    millrace: Millrace,
    _flusher: WorkerProcess,
    _redis: RedisDatabase,
    _folder: TempDir,
}

fn bench() -> Option<Bench> {
    let (redis, _bus, millrace) = bus()?;
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!(
        "sqlite://{}?mode=rwc",
        folder.path().join("own.db").display()
    );
    let ops = free_address().expect("an address");
    let variables = [
        ("REDIS_URL", redis.url()),
        ("DATABASE_URL", &url),
        ("OPS_ADDRESS", &ops),
        ("FEEDBACK_BATCH_TIME_MS", "80000000"),
    ];
    let flusher = WorkerProcess::start("feedback-flusher", &[], &variables);
    let mut flusher = flusher.expect("a flusher");
    flusher.wait_ready(&ops, SOON).expect("it is ready");
    Some(Bench {
        millrace: millrace.with("DATABASE_URL", &url),
        _flusher: flusher,
        _redis: redis,
        _folder: folder,
    })
}

#[test]
fn feedback_is_sent_seen_to_wait_flushed_and_seen_to_be_kept() {
    let Some(bench) = bench() else { return };
    let millrace = &bench.millrace;
    let about = [
        "feedback",
        "send",
        "--agent",
        "7",
        "--message",
        "m-1",
        "--user",
        "ann",
    ];
    let sent = millrace.run(&[&about[..], &["--reply", "so\nso", "--rating", "4"]].concat());
    assert_eq!(sent.stdout(), "sent 1\n", "{}", sent.stderr());
    let field = ["--field", "lang=en", "--created-at", "2026-01-01T00:00:00Z"];
    let sent = millrace.run(&[&about[..], &["--reaction", "👍"], &field].concat());
    assert_eq!(sent.stdout(), "sent 1\n", "{}", sent.stderr());

    let stats = eventually("both to wait", SOON, || {
        let stats = millrace.run(&["feedback", "stats", "--json"]).object();
        (stats["totalItems"] == 2).then_some(stats)
    });
    let stats = stats.expect("both wait");
    assert_eq!(stats["batches"][0]["agentId"], "7");
    let table = millrace.run(&["feedback", "stats"]);
    assert!(table.stdout().contains("open"), "{}", table.stdout());
    assert!(
        table.stderr().contains("2 items wait in 1 batches"),
        "{}",
        table.stderr()
    );

    let flush = millrace.run(&["feedback", "flush", "--agent", "7", "--wait"]);
    assert_eq!(flush.code(), Some(0), "{}", flush.stderr());
    assert_eq!(flush.stdout(), "1 batch will be flushed now\n");
    let agent = millrace.run(&["feedback", "agent", "7", "--json"]).object();
    assert_eq!(
        (&agent["batches"], &agent["documentCount"]),
        (&json!([]), &json!(2))
    );
    assert_eq!(agent["documents"][0]["text"], "so\nso");
    assert_eq!(agent["documents"][1]["extra"], json!({"lang": "en"}));
    let table = millrace.run(&["feedback", "agent", "7"]).stdout();
    assert!(table.contains("👍") && table.contains("so"), "{table}");
    let flush = millrace.run(&["feedback", "flush", "--wait"]);
    assert_eq!(
        (flush.code(), flush.stdout().as_str()),
        (Some(0), "0 batches will be flushed now\n")
    );
}

#[tokio::test]
async fn lines_are_sent_to_their_topics_and_bad_ones_are_told() {
    let Some((_redis, bus, millrace)) = bus() else {
        return;
    };
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let common = r#""roomId":"r","messageId":"m","userId":"u""#;
    for line in [
        format!(r#"{{"agentId":"1",{common},"text":"a"}}"#),
        String::new(),
        "nothing".to_owned(),
        format!(r#"{{"agentId":2,{common},"reaction":"+1"}}"#),
        format!(r#"{{"agentId":3,{common},"text":"b","rating":1}}"#),
    ] {
        writeln!(file, "{line}").expect("written");
    }
    let path = file.path().to_str().expect("text");
    let sent = millrace.run(&["feedback", "send", path]);
    assert_eq!((sent.code(), sent.stdout().as_str()), (Some(1), "sent 3\n"));
    assert!(
        sent.stderr().contains("line 3: no JSON object"),
        "{}",
        sent.stderr()
    );
    for (topic, count) in [(FeedbackReplies::INFO, 2), (FeedbackReactions::INFO, 1)] {
        let overview = bus.overview(&topic).await.expect("an overview");
        assert_eq!(overview.published, count, "{}", topic.name);
    }
}

#[test]
fn what_does_not_go_together_is_refused_and_batches_in_memory_are_not_guessed() {
    let millrace = Millrace::default();
    for (arguments, words) in [
        (&["send"][..], "required"),
        (&["send", "--reply", "x"], "--agent"),
        (
            &["send", "--reply", "x", "--reaction", "y", "--agent", "1"],
            "cannot be used",
        ),
        (
            &["send", "--reaction", "y", "--agent", "1", "--field", "x"],
            "priority=high",
        ),
        (&["agent", ""], "empty"),
        (&["stats", "--feedback-batch-store", "memory"], "/metrics"),
        (
            &["stats", "--feedback-batch-store", "mongodb"],
            "MONGODB_URI",
        ),
    ] {
        let ran = millrace.run(&[&["feedback"], arguments].concat());
        assert_eq!(ran.code(), Some(64), "{arguments:?}: {}", ran.stderr());
        assert!(
            ran.stderr().contains(words),
            "{arguments:?}: {}",
            ran.stderr()
        );
    }
}
