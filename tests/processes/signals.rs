//! A signal to stop: finish what is in hand, exit 0. A second one: exit at once.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Result, ensure};
use testkit::servers::{free_address, redis_database};

use crate::running::{OWN_DATABASE, Running, SOON, WORKERS};

/// A grace that no test outlives.
const LONG: (&str, &str) = ("GRACE_MS", "3600000");
const EVENT: &str = r#"{"brand_id":"shop","event_type":"page_view","payload":{"user_id":"u1"}}"#;

#[test]
fn a_signal_while_a_worker_waits_for_its_servers_ends_it_in_good_order() -> Result<()> {
    let nobody = format!("redis://{}", free_address()?);
    for worker in WORKERS {
        for signal in ["TERM", "INT"] {
            let variables = [("REDIS_URL", nobody.as_str()), OWN_DATABASE, LONG];
            let mut running = Running::start(worker, &[], &variables)?;
            running.waits_for("redis")?;
            running.process.signal(signal)?;
            assert_eq!(running.exit_code()?, Some(0), "{}", running.process.log());
            assert!(
                running
                    .process
                    .log()
                    .contains("stopping before the start was complete")
            );
        }
    }
    Ok(())
}

#[test]
fn a_signal_ends_a_ready_worker_in_good_order() -> Result<()> {
    let Some(redis) = redis_database() else {
        return Ok(());
    };
    for worker in WORKERS {
        for signal in ["TERM", "INT"] {
            let variables = [("REDIS_URL", redis.url()), OWN_DATABASE, LONG];
            let mut running = Running::ready(worker, &variables)?;
            running.process.signal(signal)?;
            assert_eq!(running.exit_code()?, Some(0), "{}", running.process.log());
            let last = running.process.log();
            let last = last.lines().last().unwrap_or_default();
            assert!(last.ends_with("stopped"), "{last}");
        }
    }
    Ok(())
}

/// A request that an ingestion worker has begun to work on and that lacks the end of its body.
struct HalfARequest {
    connection: TcpStream,
    rest: &'static str,
}

impl HalfARequest {
    fn begin(api: &str) -> Result<Self> {
        let mut connection = TcpStream::connect(api)?;
        connection.set_read_timeout(Some(SOON))?;
        let length = EVENT.len();
        write!(
            connection,
            "POST /v1/events HTTP/1.1\r\nHost: {api}\r\nContent-Length: {length}\r\n\
             Expect: 100-continue\r\nConnection: close\r\n\r\n"
        )?;
        // It asks for the body when it is at work on the request.
        let mut go_on = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
        connection.read_exact(&mut go_on)?;
        ensure!(go_on.starts_with(b"HTTP/1.1 100"), "{go_on:?}");
        let (half, rest) = EVENT.split_at(length / 2);
        connection.write_all(half.as_bytes())?;
        Ok(Self { connection, rest })
    }

    fn finish(mut self) -> Result<String> {
        self.connection.write_all(self.rest.as_bytes())?;
        let mut answer = String::new();
        self.connection.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

#[test]
fn a_request_in_hand_is_answered_before_the_worker_ends() -> Result<()> {
    let Some(redis) = redis_database() else {
        return Ok(());
    };
    let variables = [("REDIS_URL", redis.url()), OWN_DATABASE, LONG];
    let mut running = Running::ready("ingestion", &variables)?;
    let request = HalfARequest::begin(&running.api)?;
    running.process.signal("TERM")?;
    running.says("finishing what is in hand")?;
    let answer = request.finish()?;
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert_eq!(running.exit_code()?, Some(0));
    Ok(())
}

/// The API is open as soon as Redis is there, also while the other role waits for its database.
#[test]
fn a_request_in_hand_is_answered_also_when_the_start_was_not_complete() -> Result<()> {
    let Some(redis) = redis_database() else {
        return Ok(());
    };
    let sql = format!("postgres://user@{}/x", free_address()?);
    let variables = [("REDIS_URL", redis.url()), ("DATABASE_URL", &sql), LONG];
    let mut running = Running::start("ingestion", &[], &variables)?;
    running.waits_for("sql")?;
    let request = HalfARequest::begin(&running.api)?;
    running.process.signal("TERM")?;
    running.says("stopping before the start was complete")?;
    let answer = request.finish()?;
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert_eq!(running.exit_code()?, Some(0));
    Ok(())
}

#[test]
fn a_second_signal_ends_a_worker_at_once() -> Result<()> {
    let Some(redis) = redis_database() else {
        return Ok(());
    };
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")] {
        let variables = [("REDIS_URL", redis.url()), OWN_DATABASE, LONG];
        let mut running = Running::ready("ingestion", &variables)?;
        let request = HalfARequest::begin(&running.api)?;
        running.process.signal(first)?;
        running.says("finishing what is in hand")?;
        running.process.signal(second)?;
        assert_eq!(running.exit_code()?, Some(0), "{}", running.process.log());
        assert!(running.process.log().contains("a second signal"));
        drop(request);
    }
    Ok(())
}

#[test]
fn the_grace_is_the_longest_that_work_in_hand_may_take() -> Result<()> {
    let Some(redis) = redis_database() else {
        return Ok(());
    };
    let short = ("GRACE_MS", "300");
    let variables = [("REDIS_URL", redis.url()), OWN_DATABASE, short];
    let mut running = Running::ready("ingestion", &variables)?;
    let request = HalfARequest::begin(&running.api)?;
    running.process.signal("TERM")?;
    assert_eq!(running.exit_code()?, Some(0), "{}", running.process.log());
    assert!(running.process.log().contains("the grace ran out"));
    drop(request);
    Ok(())
}
