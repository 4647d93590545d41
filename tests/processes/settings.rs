//! Settings that cannot be used: exit code 64 and one line that says which and what is allowed.

use anyhow::Result;

use crate::running::{Running, WORKERS};

/// Runs a worker with settings that it must refuse, and gives the one line that it says.
fn refusal(worker: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Result<String> {
    let mut running = Running::start(worker, arguments, variables)?;
    let code = running.exit_code()?;
    let output = running.process.log();
    assert_eq!(code, Some(64), "{worker} {variables:?}: {output}");
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 1, "{worker} {variables:?}: {output}");
    Ok(output.trim_end().to_owned())
}

#[test]
fn every_worker_says_in_one_line_which_setting_is_bad_and_what_is_allowed() -> Result<()> {
    for worker in WORKERS {
        for (variable, value, allowed) in [
            ("BATCH_MAX", "0", "1..=512"),
            ("BATCH_MAX", "abc", "for example, 512"),
            ("REDIS_URL", "http://x", "rediss://"),
            ("REDIS_STREAMS_URL", "", "redis://"),
            ("REDIS_HOST", "two words", "names"),
            ("REDIS_HOST", "::1", "in brackets"),
            ("REDIS_TIMEOUT_MS", "0", "1..="),
            ("MILLRACE_BUS", "nats", "redis, kafka"),
            ("LOG_FORMAT", "xml", "text, json"),
            ("LOG", "bus=nonsense", "info"),
            ("DATABASE_URL", "mysql://x", "postgres://"),
            ("DATABASE_URL", "millrace.db", "sqlite://"),
            ("DATABASE_URL", "postgres://host:port/x", "postgres://"),
            ("OPS_ADDRESS", "localhost", "127.0.0.1:0"),
            ("FAIL_FAST", "perhaps", "true, false"),
        ] {
            let line = refusal(worker, &[], &[(variable, value)])?;
            assert!(line.contains(variable), "{variable}={value}: {line}");
            assert!(line.contains(allowed), "{variable}={value}: {line}");
        }
    }
    Ok(())
}

#[test]
fn kafka_is_not_chosen_without_brokers() -> Result<()> {
    for worker in WORKERS {
        let line = refusal(worker, &[], &[("MILLRACE_BUS", "kafka")])?;
        assert!(line.contains("KAFKA_BROKERS"), "{line}");
    }
    Ok(())
}

#[test]
fn an_option_is_refused_like_its_variable() -> Result<()> {
    let line = refusal("ingestion", &["--batch-max", "513"], &[])?;
    assert!(
        line.contains("BATCH_MAX") && line.contains("1..=512"),
        "{line}"
    );
    let line = refusal("admin", &["--no-such-option"], &[])?;
    assert!(line.contains("--no-such-option"), "{line}");
    Ok(())
}

#[test]
fn nobody_listens_to_the_world_without_a_guard() -> Result<()> {
    for (worker, address, guard) in [
        ("ingestion", "INGESTION_ADDRESS", "INGESTION_API_KEYS"),
        ("admin", "ADMIN_ADDRESS", "ADMIN_TOKEN"),
    ] {
        let line = refusal(worker, &[], &[(address, "0.0.0.0:0")])?;
        assert!(line.contains(address) && line.contains(guard), "{line}");
        assert!(line.contains("127.0.0.1"), "{line}");
        let line = refusal(worker, &[], &[(address, "0.0.0.0:0"), (guard, " ")])?;
        assert!(line.contains(guard) && line.contains("empty"), "{line}");
    }
    Ok(())
}

#[test]
fn the_command_line_tool_refuses_bad_settings_too() -> Result<()> {
    for (subcommand, variable, value) in [
        ("migrate", "DATABASE_URL", "mysql://user:hunter2@host/x"),
        ("streams", "REDIS_URL", "http://user:hunter2@host"),
    ] {
        let line = refusal("millrace", &[subcommand], &[(variable, value)])?;
        assert!(
            line.contains(variable) && !line.contains("hunter2"),
            "{line}"
        );
    }
    Ok(())
}
