//! `millrace up` as a process, with shell scripts for workers.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test fails with the test"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const WORKERS: [&str; 4] = ["ingestion", "event-processors", "admin", "feedback-flusher"];
/// Runs until it is told to stop, and says so.
const GOOD: &str = "trap 'echo told to stop; exit 0' TERM\necho \"ops on $OPS_ADDRESS\"\n\
                    while :; do sleep 0.05; done";
/// Does not stop.
const STUBBORN: &str = "trap '' TERM\necho started\nwhile :; do sleep 0.05; done";
const LIMIT: Duration = Duration::from_secs(30);

struct Up {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    port: u16,
    _folder: TempDir,
}

impl Up {
    /// The scripts of the first workers; the last one is always a good one.
    fn start(scripts: [&str; 3], arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, script) in WORKERS.into_iter().zip(scripts.into_iter().chain([GOOD])) {
            if script.is_empty() {
                continue;
            }
            let path = folder.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("writable");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mine");
        }
        let port = free_ports();
        let mut child = Command::new(env!("CARGO_BIN_EXE_millrace"))
            .arg("up")
            .arg("--bin-dir")
            .arg(folder.path())
            .args(["--ops-port", &port.to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("millrace runs");
        let (sender, lines) = channel();
        let stdout = child.stdout.take().expect("piped");
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
            port,
            _folder: folder,
        }
    }

    /// Reads lines until one has this text.
    fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("no line with {text:?} in {:#?}", self.seen));
            let found = line.contains(text);
            self.seen.push(line);
            if found {
                return;
            }
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("bash")
            .args(["-c", r#"kill -s "$1" "$2""#, "kill", name, &id])
            .status();
        assert!(status.expect("bash runs").success());
    }

    /// Waits until it has ended, which closes its output.
    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().expect("mine"),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {:#?}", self.seen),
            }
        }
    }

    fn stderr(&mut self) -> String {
        let mut text = String::new();
        let stderr = self.child.stderr.as_mut().expect("piped");
        std::io::Read::read_to_string(stderr, &mut text).expect("text");
        text
    }

    fn seen(&self, text: &str) -> usize {
        self.seen.iter().filter(|line| line.contains(text)).count()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Its workers are told to stop first; a test that failed must not leave them behind.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal("TERM");
            self.signal("TERM");
            self.child.wait().ok();
        }
    }
}

/// The first of four ports that nobody uses. The tests of this file get different ones, below
/// those that the system gives to clients.
fn free_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = u16::try_from(std::process::id() % 300).expect("small");
    for _ in 0..100 {
        let port = 20_000 + 40 * process + 4 * (NEXT.fetch_add(1, Ordering::Relaxed) % 300);
        let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if (port..port + 4).all(is_free) {
            return port;
        }
    }
    panic!("no four free ports in a row");
}

/// Answers every request on a port until the test is over.
fn answer(port: u16, status: &'static str) {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("nobody uses it");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            assert_eq!(lines.next().as_deref(), Some("GET /ready HTTP/1.1"));
            while lines.next().is_some_and(|line| !line.is_empty()) {}
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            // The asker may have ended.
            (&stream).write_all(answer.as_bytes()).ok();
        }
    });
}

#[test]
fn workers_are_told_apart_and_stop_in_order() {
    let mut up = Up::start([GOOD, GOOD, GOOD], &[]);
    for name in WORKERS {
        up.wait_for("ops on 127.0.0.1:");
        assert!(
            up.seen.last().is_some_and(|line| line.contains(" | ")),
            "{name}"
        );
    }
    up.signal("TERM");
    assert!(up.wait().success(), "{:#?}", up.seen);
    assert_eq!(up.seen("told to stop"), 4, "{:#?}", up.seen);
    assert_eq!(
        up.seen("ingestion        | told to stop"),
        1,
        "{:#?}",
        up.seen
    );
    assert_eq!(up.seen("all workers have stopped"), 1);
}

#[test]
fn every_worker_that_is_ready_is_said_and_then_that_all_are() {
    let mut up = Up::start([GOOD, GOOD, GOOD], &[]);
    for _ in WORKERS {
        up.wait_for("ops on 127.0.0.1:");
    }
    answer(up.port, "200 OK");
    up.wait_for(&format!("ingestion is ready, http://127.0.0.1:{}", up.port));
    answer(up.port + 2, "200 OK");
    up.wait_for("admin is ready");
    assert_eq!(up.seen("all workers are ready"), 0, "{:#?}", up.seen);
    answer(up.port + 3, "200 OK");
    up.wait_for("feedback-flusher is ready");
    answer(up.port + 1, "200 OK");
    up.wait_for("event-processors is ready");
    up.wait_for("all workers are ready");
    up.signal("HUP");
    assert!(up.wait().success(), "{:#?}", up.seen);
}

#[test]
fn a_worker_that_waits_is_not_ready() {
    let mut up = Up::start([GOOD, GOOD, ""], &["--only", "ingestion,event-processors"]);
    up.wait_for("ops on 127.0.0.1:");
    up.wait_for("ops on 127.0.0.1:");
    answer(up.port, "503 Service Unavailable");
    answer(up.port + 1, "200 OK");
    up.wait_for("event-processors is ready");
    up.signal("TERM");
    assert!(up.wait().success(), "{:#?}", up.seen);
    assert_eq!(
        up.seen("ingestion is ready") + up.seen("all workers are ready"),
        0
    );
}

#[test]
fn a_worker_that_ends_is_started_again_and_the_reason_is_said() {
    let mut up = Up::start([GOOD, "echo starting >&2; exit 3", "kill -s KILL $$"], &[]);
    up.wait_for("event-processors exited with code 3; restarting in 0.");
    up.wait_for("event-processors exited with code 3; restarting in ");
    assert!(
        up.seen("event-processors | starting") >= 2,
        "{:#?}",
        up.seen
    );
    if up.seen("admin was ended by signal 9 (SIGKILL)") == 0 {
        up.wait_for("admin was ended by signal 9 (SIGKILL)");
    }
    up.signal("INT");
    assert!(up.wait().success(), "{:#?}", up.seen);
}

#[test]
fn a_worker_with_bad_settings_ends_all() {
    let mut up = Up::start(
        [GOOD, "echo 'REDIS_PORT: allowed is ...' >&2; exit 64", GOOD],
        &[],
    );
    assert_eq!(up.wait().code(), Some(64), "{:#?}", up.seen);
    assert_eq!(up.seen("REDIS_PORT: allowed is"), 1, "it is started once");
}

#[test]
fn a_worker_that_does_not_stop_is_killed_after_the_grace() {
    let mut up = Up::start(
        ["", STUBBORN, ""],
        &["--only", "event-processors", "--grace", "300ms"],
    );
    up.wait_for("started");
    up.signal("TERM");
    assert_eq!(up.wait().code(), Some(1), "{:#?}", up.seen);
    assert_eq!(
        up.seen("event-processors did not stop within 0.3 s: killed"),
        1
    );
}

#[test]
fn a_second_signal_kills_at_once() {
    let mut up = Up::start([STUBBORN, "", ""], &["--only", "ingestion"]);
    up.wait_for("started");
    up.signal("INT");
    up.wait_for("again to kill them");
    up.signal("INT");
    assert_eq!(up.wait().code(), Some(1), "{:#?}", up.seen);
}

#[test]
fn a_worker_that_is_missing_is_named() {
    let mut up = Up::start([GOOD, GOOD, ""], &[]);
    assert_eq!(up.wait().code(), Some(1));
    let text = up.stderr();
    assert!(text.contains("the worker admin is missing"), "{text}");
}

#[test]
fn only_workers_that_exist_can_be_chosen() {
    let mut up = Up::start([GOOD, GOOD, GOOD], &["--only", "ingestion,mailer"]);
    assert_eq!(up.wait().code(), Some(64));
    let text = up.stderr();
    assert!(
        text.contains("mailer") && text.contains("event-processors"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1);
}
